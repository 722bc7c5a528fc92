//! A page of the API's answer, cut into objects that keep their bytes.

use std::borrow::Cow;

use bytes::Bytes;
use catalog_shared::cursor::Interval;
use catalog_shared::fields::{Fields, Text};
use catalog_shared::key::is_name;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::discover::cut::{self, Texts};
use crate::discover::error::ApiError;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) raw: Bytes,
    /// One that a key can hold; any other is as good as none.
    pub(crate) id: Option<String>,
    pub(crate) domain: Option<String>,
    /// Trimmed of white space, and not blank.
    pub(crate) agency: Option<String>,
    /// The permalink's host, lower case.
    pub(crate) host: Option<String>,
    /// When it was last updated, where that can be read.
    pub(crate) updated_at: Option<OffsetDateTime>,
}

impl Page {
    /// Cuts an answer into its objects without copying them.
    ///
    /// # Errors
    /// [`ApiError::Incomplete`] for JSON that stops in the middle, [`ApiError::Unreadable`] for what isn't
    /// JSON or has no `results`.
    pub(crate) fn cut(body: &Bytes) -> Result<Self, ApiError> {
        let objects = cut::objects(body).map_or_else(|| carefully(body), Ok)?;
        Ok(Self { objects, observed_at: OffsetDateTime::now_utc() })
    }

    /// A page without objects.
    pub(crate) fn empty() -> Self {
        Self { objects: Vec::new(), observed_at: OffsetDateTime::now_utc() }
    }

    /// How many objects from the first on are of the interval. Objects without an id count with the next
    /// one that has one; those behind the last id come once more on the next page.
    pub(crate) fn within(&self, interval: &Interval) -> usize {
        let is_behind = |object: &Object| object.id.as_deref().is_some_and(|id| interval.ends_before(id));
        let behind = self.objects.iter().position(is_behind);
        let last = self.objects.iter().rposition(|object| object.id.is_some());
        behind.unwrap_or_else(|| last.map_or(0, |last| last + 1))
    }

    /// The last id of the page, which the next one starts behind.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.objects.iter().rev().find_map(|object| object.id.as_deref())
    }
}

/// Cuts an answer of any oddity: finds its objects first, then reads each leniently, for an object with
/// one odd field is still a record.
pub(crate) fn carefully(body: &Bytes) -> Result<Vec<Object>, ApiError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| ApiError::of_json(&error, body))?;
    Ok(answer.results.iter().map(|raw| Object::read(body, raw)).collect())
}

impl Object {
    /// An object of which these texts are known.
    pub(crate) fn new(raw: Bytes, texts: &Texts<'_>) -> Self {
        let agency = texts.attribution.as_deref().map(str::trim);
        Self {
            raw,
            id: texts.id.as_deref().filter(|id| is_name(id)).map(str::to_owned),
            domain: texts.domain.as_deref().map(str::to_owned),
            agency: agency.filter(|name| !name.is_empty()).map(str::to_owned),
            host: texts.permalink.as_deref().and_then(host_of),
            updated_at: texts
                .updated_at
                .as_deref()
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
        }
    }

    fn read(body: &Bytes, raw: &RawValue) -> Self {
        let top = Fields::of(raw).unwrap_or_default();
        let open = |name| top.get(name).and_then(Fields::of).unwrap_or_default();
        let (resource, metadata) = (open("resource"), open("metadata"));
        let texts = Texts {
            id: text(resource.get("id")),
            domain: text(metadata.get("domain")),
            attribution: text(resource.get("attribution")),
            permalink: text(top.get("permalink")),
            updated_at: text(resource.get("updatedAt")),
        };
        Self::new(body.slice_ref(raw.get().as_bytes()), &texts)
    }
}

/// A text; nothing where the value is of another type or can't be text (a lone surrogate).
fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    serde_json::from_str(value?.get()).ok().map(|Text(text)| text)
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
    fn objects_without_an_id_go_with_the_next_one_that_has_one() {
        let interval = |until: Option<&str>| Interval { after: String::new(), until: until.map(Into::into) };
        let page =
            cut(r#"{"results":[{"resource":{"id":""}},{"resource":{"id":"b"}},{"resource":{"id":" "}},
                          {"resource":{"id":"d"}},{"resource":{"id":"N/A"}}]}"#)
            .unwrap();
        assert_eq!(page.last_id(), Some("d"));
        assert_eq!(page.within(&interval(None)), 4);
        assert_eq!(page.within(&interval(Some("d"))), 4);
        assert_eq!(page.within(&interval(Some("b"))), 3);
        assert_eq!(page.within(&interval(Some("a"))), 1);
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
        let cut_off = cut(r#"{"results":[{"resource":{"id":"aaaa"#).unwrap_err();
        assert!(cut_off.incomplete_head().is_some(), "{cut_off}");
        let without = cut(r#"{"resultSetSize":0}"#).unwrap_err();
        assert!(matches!(&without, ApiError::Unreadable(text) if text.contains("`results`")), "{without}");
    }
}
