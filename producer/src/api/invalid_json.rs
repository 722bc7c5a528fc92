//! An answer that is no JSON, cut into its objects all the same: what is wrong with one of them costs no other.

use bytes::Bytes;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

use crate::api::error::{ApiError, Incomplete};
use crate::api::fast_parse::Texts;
use crate::api::parse;
use crate::api::scanner;
use crate::model::page::{Object, Page};

/// How many objects of an answer may be no JSON at least. More of them than this, and more than a tenth of all,
/// are the server's fault.
const FEW_FLAWS: usize = 3;

/// Cuts an answer that is no JSON by its strings and brackets. Objects that are no JSON by themselves have a
/// [`Object::flaw`].
///
/// # Errors
/// [`ApiError::Incomplete`] where strings and brackets don't match, [`ApiError::Garbled`] where too many objects
/// are no JSON, and `error`, what parsing it said, for what is no answer of the API at all.
pub(crate) fn cut(body: &Bytes, error: ApiError) -> Result<Page, ApiError> {
    let Some(places) = scanner::results(body) else {
        let is_json = str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let is_answer = body.trim_ascii_start().starts_with(b"{") && !is_json;
        return Err(if is_answer { ApiError::incomplete(Incomplete::Torn, body, None) } else { error });
    };
    let objects: Vec<_> = places.into_iter().map(|place| read(&body.slice(place))).collect();
    let mut flaws = objects.iter().filter_map(|object| object.flaw.as_deref());
    let first = flaws.next().unwrap_or("only what is around the objects is no JSON").to_owned();
    let count = flaws.count() + 1;
    if count > FEW_FLAWS && count * 10 > objects.len() {
        return Err(ApiError::Garbled(format!("{count} of {} objects; the first: {first}", objects.len())));
    }
    tracing::warn!(flaws = count, first, "the answer is no JSON; its objects are read one by one");
    Ok(Page { objects, observed_at: OffsetDateTime::now_utc() })
}

/// Reads an object that may be no JSON.
fn read(raw: &Bytes) -> Object {
    let Some(flaw) = scanner::flaw(raw) else {
        let json = str::from_utf8(raw).ok().and_then(|text| serde_json::from_str(text).ok());
        return json.map_or_else(
            || parse::object_of(raw.clone(), &Texts::default()),
            |json| parse::object(raw, json),
        );
    };
    let object = parse::object_of(raw.clone(), &scanner::texts(raw));
    Object { flaw: Some(flaw), ..object }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with so many objects that are no JSON among so many.
    fn flawed(flaws: usize, all: usize) -> Result<Page, ApiError> {
        let object = |place: usize| {
            let byte = if place < flaws { &b"\xe9"[..] } else { b"e" };
            [format!(r#"{{"resource":{{"id":"aaaa-{place:04}","name":""#).as_bytes(), byte, b"\"}}"].concat()
        };
        let objects: Vec<_> = (0..all).map(object).collect();
        let body = Bytes::from([b"{\"results\":[", &*objects.join(&b","[..]), b"]}"].concat());
        let error = parse::page(&body).unwrap_err();
        super::cut(&body, error)
    }

    #[test]
    fn an_object_that_is_no_json_costs_no_other() {
        let page = flawed(1, 3).unwrap();
        let flaws: Vec<_> = page.objects.iter().map(|object| object.flaw.is_some()).collect();
        assert_eq!(flaws, [true, false, false]);
        assert_eq!(page.ids().collect::<Vec<_>>(), ["aaaa-0000", "aaaa-0001", "aaaa-0002"]);
        assert!(page.objects[0].raw.contains(&0xe9));
    }

    #[test]
    fn more_than_three_and_a_tenth_of_a_page_are_the_servers_fault() {
        assert!(flawed(3, 3).is_ok() && flawed(4, 40).is_ok());
        assert!(matches!(flawed(4, 39), Err(ApiError::Garbled(text)) if text.starts_with("4 of 39")));
    }

    #[test]
    fn where_the_structure_does_not_stand_the_answer_is_torn() {
        let loosely = |body: &'static [u8]| {
            let body = Bytes::from_static(body);
            let error = parse::page(&body).unwrap_err();
            super::cut(&body, error).unwrap_err()
        };
        assert!(loosely(br#"{"results":[{"a":"b"c"}]}"#).incomplete_head().is_some());
        for other in [&b"<html>"[..], br#"{"resultSetSize":0}"#, b"7"] {
            assert!(matches!(loosely(other), ApiError::Unreadable(_)), "{other:?}");
        }
    }
}
