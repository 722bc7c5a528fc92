//! Parses an answer that is not valid JSON into its objects. An invalid object does not affect the others.

use bytes::Bytes;
use catalog_shared::events;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

use crate::api::error::{ApiError, Incomplete};
use crate::api::parse as json;
use crate::api::scanner;
use crate::api::texts::Texts;
use crate::model::page::{Object, Page};

/// The number of invalid objects that is always tolerated. More than this and more than a tenth of the page is an error
/// of the server.
const TOLERATED_FLAWS: usize = 3;

/// Separates the objects by strings and brackets. Objects that are not valid JSON have a [`Object::flaw`].
///
/// # Errors
/// [`ApiError::Incomplete`] if strings and brackets don't match, [`ApiError::Garbled`] if too many objects are invalid,
/// and `error`, the error of the JSON parser, if this is not an answer of the API at all.
pub(crate) fn parse(body: &Bytes, error: ApiError) -> Result<Page, ApiError> {
    let Some(ranges) = scanner::results(body) else {
        let is_json = str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let is_answer = body.trim_ascii_start().starts_with(b"{") && !is_json;
        return Err(if is_answer { ApiError::incomplete(Incomplete::Torn, body, None) } else { error });
    };
    let objects: Vec<_> = ranges.into_iter().map(|range| read(&body.slice(range))).collect();
    let mut flaws = objects.iter().filter_map(|object| object.flaw.as_deref());
    let first = flaws.next().unwrap_or("only the text around the objects is invalid").to_owned();
    let count = flaws.count() + 1;
    if count > TOLERATED_FLAWS && count * 10 > objects.len() {
        return Err(ApiError::Garbled(format!("{count} of {} objects; the first: {first}", objects.len())));
    }
    tracing::warn!(
        event = events::ANSWER_NOT_JSON,
        flaws = count,
        first,
        "the response is not valid JSON, reading its objects separately"
    );
    Ok(Page { objects, observed_at: OffsetDateTime::now_utc() })
}

/// Reads an object that may be invalid.
fn read(raw: &Bytes) -> Object {
    let Some(flaw) = scanner::flaw(raw) else {
        let json = str::from_utf8(raw).ok().and_then(|text| serde_json::from_str(text).ok());
        return json.map_or_else(|| Texts::default().object(raw.clone()), |json| json::object(raw, json));
    };
    let object = scanner::texts(raw).object(raw.clone());
    Object { flaw: Some(flaw), ..object }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with this many invalid objects.
    fn flawed(flaws: usize, all: usize) -> Result<Page, ApiError> {
        let object = |index: usize| {
            let byte = if index < flaws { &b"\xe9"[..] } else { b"e" };
            [format!(r#"{{"resource":{{"id":"aaaa-{index:04}","name":""#).as_bytes(), byte, b"\"}}"].concat()
        };
        let objects: Vec<_> = (0..all).map(object).collect();
        let body = Bytes::from([b"{\"results\":[", &*objects.join(&b","[..]), b"]}"].concat());
        let error = json::page(&body).unwrap_err();
        super::parse(&body, error)
    }

    #[test]
    fn an_invalid_object_does_not_affect_others() {
        let page = flawed(1, 3).unwrap();
        let flaws: Vec<_> = page.objects.iter().map(|object| object.flaw.is_some()).collect();
        assert_eq!(flaws, [true, false, false]);
        assert_eq!(page.ids().collect::<Vec<_>>(), ["aaaa-0000", "aaaa-0001", "aaaa-0002"]);
        assert!(page.objects[0].raw.contains(&0xe9));
    }

    #[test]
    fn more_than_three_and_a_tenth_of_a_page_are_an_error() {
        assert!(flawed(3, 3).is_ok() && flawed(4, 40).is_ok());
        assert!(matches!(flawed(4, 39), Err(ApiError::Garbled(text)) if text.starts_with("4 of 39")));
    }

    #[test]
    fn an_answer_without_matching_brackets_is_torn() {
        let leniently = |body: &'static [u8]| {
            let body = Bytes::from_static(body);
            let error = json::page(&body).unwrap_err();
            super::parse(&body, error).unwrap_err()
        };
        assert!(leniently(br#"{"results":[{"a":"b"c"}]}"#).incomplete_head().is_some());
        for other in [&b"<html>"[..], br#"{"resultSetSize":0}"#, b"7"] {
            assert!(matches!(leniently(other), ApiError::Unreadable(_)), "{other:?}");
        }
    }
}
