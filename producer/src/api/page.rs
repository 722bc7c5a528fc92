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

use crate::api::error::ApiError;
use crate::api::fast_parse::{self, Texts};
use crate::model::idspace;

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
    /// The id in the permalink of an object without an id. It names the object, but no record is keyed by it.
    pub(crate) link_id: Option<String>,
    /// Why the object is no JSON, if it is none.
    pub(crate) flaw: Option<String>,
}

impl Page {
    /// Cuts an answer into its objects without copying them.
    ///
    /// # Errors
    /// [`ApiError::Incomplete`] for JSON that stops in the middle, [`ApiError::Unreadable`] for what isn't
    /// JSON or has no `results`.
    pub(crate) fn cut(body: &Bytes) -> Result<Self, ApiError> {
        let objects = fast_parse::objects(body).map_or_else(|| carefully(body), Ok)?;
        Ok(Self { objects, observed_at: OffsetDateTime::now_utc() })
    }

    /// A page without objects.
    pub(crate) fn empty() -> Self {
        Self { objects: Vec::new(), observed_at: OffsetDateTime::now_utc() }
    }

    /// How many objects stand before the first one behind the interval; none where the page doesn't reach
    /// that far. Objects without an id count with the next one that has one.
    pub(crate) fn before_end(&self, interval: &Interval) -> Option<usize> {
        self.objects.iter().position(|object| object.id.as_deref().is_some_and(|id| interval.ends_before(id)))
    }

    /// How many objects there are up to the last one with this id.
    pub(crate) fn up_to(&self, id: &str) -> usize {
        self.objects.iter().rposition(|object| object.id.as_deref() == Some(id)).map_or(0, |last| last + 1)
    }

    /// The last id of the page.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.ids().next_back()
    }

    /// The last id but for the objects with [`Page::last_id`]: all objects up to it are on the page, even where
    /// several have the same id.
    pub(crate) fn last_sure_id(&self) -> Option<&str> {
        let last = self.last_id();
        self.ids().rev().find(|id| Some(*id) != last)
    }

    /// The ids of the objects that have one.
    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.objects.iter().filter_map(|object| object.id.as_deref())
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
        let id = texts.id.as_deref().filter(|id| is_name(id)).map(str::to_owned);
        let link = texts.permalink.as_deref().filter(|_| id.is_none());
        Self {
            raw,
            id,
            domain: texts.domain.as_deref().map(str::to_owned),
            agency: agency.filter(|name| !name.is_empty()).map(str::to_owned),
            host: texts.permalink.as_deref().and_then(host_of),
            updated_at: texts
                .updated_at
                .as_deref()
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
            link_id: link.and_then(id_of),
            flaw: None,
        }
    }

    pub(crate) fn read(body: &Bytes, raw: &RawValue) -> Self {
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

/// The id that a permalink such as `https://host/d/ijzp-q8t2` ends with.
fn id_of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let id = url.path_segments()?.next_back()?;
    idspace::is_well_formed(id).then(|| id.to_owned())
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
        let interval = |until: &str| Interval { after: String::new(), until: Some(until.into()) };
        let page =
            cut(r#"{"results":[{"resource":{"id":""}},{"resource":{"id":"b"}},{"resource":{"id":" "}},
                          {"resource":{"id":"d"}},{"resource":{"id":"N/A"}}]}"#)
            .unwrap();
        assert_eq!((page.last_id(), page.last_sure_id()), (Some("d"), Some("b")));
        assert_eq!((page.up_to("d"), page.up_to("b"), page.up_to("c")), (4, 2, 0));
        assert_eq!(page.before_end(&Interval::whole()), None);
        assert_eq!(page.before_end(&interval("d")), None);
        assert_eq!(page.before_end(&interval("b")), Some(3));
        assert_eq!(page.before_end(&interval("a")), Some(1));
    }

    #[test]
    fn a_permalink_names_an_object_without_an_id() {
        let named = |resource: &str, link: &str| {
            let page = cut(&format!(r#"{{"results":[{{"resource":{resource},"permalink":"{link}"}}]}}"#));
            page.unwrap().objects.swap_remove(0).link_id
        };
        assert_eq!(named("{}", "https://a.example/d/ijzp-q8t2").as_deref(), Some("ijzp-q8t2"));
        assert_eq!(named(r#"{"id":"aaaa-aaaa"}"#, "https://a.example/d/ijzp-q8t2"), None);
        for link in ["https://a.example/d/", "https://a.example/d/IJZP-Q8T2", "ijzp-q8t2", ""] {
            assert_eq!(named("{}", link), None, "{link}");
        }
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
