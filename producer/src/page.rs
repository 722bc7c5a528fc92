//! A page of the API's answer, cut into objects that keep their bytes.

use bytes::Bytes;
use catalog_shared::fields::Fields;
use catalog_shared::key::is_name;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::discover::{ApiError, unreadable};

/// One answer of the scroll.
#[derive(Debug)]
pub(crate) struct Page {
    /// The objects in the API's order.
    pub(crate) objects: Vec<Object>,
    /// When the answer arrived.
    pub(crate) observed_at: OffsetDateTime,
}

/// A result object: its bytes as the API sent them, a slice of the answer, and the little that is read
/// of it here.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) raw: Bytes,
    pub(crate) id: Option<String>,
    pub(crate) domain: Option<String>,
    /// Trimmed of white space, and not blank.
    pub(crate) agency: Option<String>,
    /// The permalink's host, lower case.
    pub(crate) host: Option<String>,
}

impl Page {
    /// Cuts an answer into its objects without copying them.
    ///
    /// # Errors
    /// [`ApiError::Unreadable`] for what isn't JSON or has no `results`.
    pub(crate) fn cut(body: &Bytes) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            results: Vec<&'a RawValue>,
        }
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| unreadable(&error, body))?;
        let objects = answer.results.iter().map(|raw| Object::read(body, raw)).collect();
        Ok(Self { objects, observed_at: OffsetDateTime::now_utc() })
    }

    /// The last id of the page, which the next one starts behind.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.objects.iter().rev().find_map(|object| object.id.as_deref())
    }
}

impl Object {
    /// Reads leniently: an object with one odd field is still a record.
    fn read(body: &Bytes, raw: &RawValue) -> Self {
        let top = Fields::of(raw).unwrap_or_default();
        let open = |name| top.get(name).and_then(Fields::of).unwrap_or_default();
        let (resource, metadata) = (open("resource"), open("metadata"));
        let agency = text(resource.get("attribution")).map(|name| name.trim().to_owned());
        Self {
            raw: body.slice_ref(raw.get().as_bytes()),
            id: text(resource.get("id")),
            domain: text(metadata.get("domain")),
            agency: agency.filter(|name| !name.is_empty()),
            host: text(top.get("permalink")).and_then(|link| host_of(&link)),
        }
    }
}

/// A text; nothing where the value is of another type or can't be text (a lone surrogate).
fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

fn host_of(link: &str) -> Option<String> {
    let host = Url::parse(link).ok()?.host_str()?.to_owned();
    is_name(&host).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str) -> Result<Page, ApiError> {
        Page::cut(&Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn objects_keep_their_bytes() {
        let object = r#"{ "resource" : {"id":"aaaa-bbbb", "n": 1.0e2}, "metadata":{"domain":"x"} }"#;
        let page =
            cut(&format!(r#"{{"timings":{{}},"results":[ {object} ,{{}}],"resultSetSize":2}}"#)).unwrap();
        assert_eq!(page.objects.len(), 2);
        assert_eq!(page.objects[0].raw, object.as_bytes());
        assert_eq!(page.last_id(), Some("aaaa-bbbb"));
        assert_eq!(page.objects[0].domain.as_deref(), Some("x"));
    }

    #[test]
    fn agencies_are_trimmed_and_hosts_are_lower_case() {
        let page = cut(
            r#"{"results":[{"resource":{"attribution":" Parks \n"},"permalink":"https://Data.X.example/d/a"},
                          {"resource":{"attribution":" "}},{"resource":{"id":7,"attribution":"\ud800"}}]}"#,
        )
        .unwrap();
        let [first, blank, odd] = page.objects.as_slice() else { panic!("three objects") };
        assert_eq!(first.agency.as_deref(), Some("Parks"));
        assert_eq!(first.host.as_deref(), Some("data.x.example"));
        assert_eq!(blank.agency, None);
        assert_eq!((odd.id.as_deref(), odd.agency.as_deref()), (None, None));
    }

    #[test]
    fn an_answer_cut_off_or_without_results_is_no_page() {
        assert!(cut(r#"{"results":[{"resource":{"id":"aaaa"#).is_err());
        assert!(cut(r#"{"resultSetSize":0}"#).is_err());
    }
}
