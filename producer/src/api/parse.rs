//! Parses an answer into a page of objects without copying them.

use std::borrow::Cow;

use bytes::Bytes;
use catalog_shared::fields::{Fields, Text};
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::api::error::ApiError;
use crate::api::fast_parse;
use crate::api::texts::Texts;
use crate::model::page::{Object, Page};

/// Parses an answer.
///
/// # Errors
/// [`ApiError::Incomplete`] for JSON that ends early, [`ApiError::Unreadable`] for anything that is not JSON or
/// has no `results`.
pub(crate) fn page(body: &Bytes) -> Result<Page, ApiError> {
    let objects = fast_parse::objects(body).map_or_else(|| each_object(body), Ok)?;
    Ok(Page { objects, observed_at: OffsetDateTime::now_utc() })
}

/// Parses any valid JSON answer: finds the objects first, then reads each field leniently, because an object with
/// one unexpected field is still a record.
pub(crate) fn each_object(body: &Bytes) -> Result<Vec<Object>, ApiError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| ApiError::of_json(&error, body))?;
    Ok(answer.results.iter().map(|raw| object(body, raw)).collect())
}

/// Reads one object of an answer.
pub(crate) fn object(body: &Bytes, raw: &RawValue) -> Object {
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
    texts.object(body.slice_ref(raw.get().as_bytes()))
}

/// A string; `None` if the value has another type or is not valid text (a lone surrogate).
fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    serde_json::from_str(value?.get()).ok().map(|Text(text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str) -> Result<Page, ApiError> {
        page(&Bytes::copy_from_slice(body.as_bytes()))
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
