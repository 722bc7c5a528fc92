//! Identifies an unreadable object from the received part of the answer, and decides whether a lane may skip it.

use std::fmt;

use catalog_shared::key::is_name;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::api::error::Failed;

/// The maximum number of objects that a lane skips in a row. If more are unreadable, the cause is the server or a limit
/// that is too low, and continuing would omit most of the catalog.
pub(crate) const MAX_IN_A_ROW: u32 = 3;

/// The path of the id of a result object.
const ID: &[&str] = &["results", "resource", "id"];

/// An object that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The object with this id.
    Id(String),
    /// An object with a larger id than the readable ones. So all objects with their ids were read.
    LaterId,
    /// The answer has no structure, and no id before the place where it breaks.
    NoId,
}

/// Identifies the first unreadable object after `after` and after the readable objects `before`, if a lane that has just
/// skipped this many may skip it.
///
/// # Errors
/// Why the lane must stop instead, to append to an error message; empty if the error itself explains it.
pub(crate) fn identify(
    after: &str,
    before: &[&str],
    error: &Failed,
    skipped: u32,
) -> Result<Unreadable, &'static str> {
    let head = error.incomplete_head().ok_or("")?;
    let found = ids(head);
    let last = before.last().copied().unwrap_or_default();
    let unreadable = match found.get(before.len()..).unwrap_or_default() {
        [] if error.error.is_torn() => Unreadable::NoId,
        [] => return Err("; the received part has no id"),
        // The server or a cache ignores `limit`: objects in between would be lost.
        [_, _, ..] => return Err("; the response has several objects, but one was requested"),
        [id] if id.as_str() <= after || id.as_str() < last => {
            return Err("; the response is for another position");
        }
        [id] if !before.is_empty() && id.as_str() > last => return Ok(Unreadable::LaterId),
        [id] => Unreadable::Id(id.clone()),
    };
    if !error.is_permanent() {
        return Err("; only one response was incomplete");
    }
    if skipped == MAX_IN_A_ROW {
        return Err("; several objects in a row are unreadable");
    }
    Ok(unreadable)
}

/// The usable ids of result objects in an answer that may end anywhere. Other ids (of owners, of parents) are ignored.
fn ids(head: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let seek = Seek { path: ID, found: &mut found };
    // An error is expected, because the end is missing. The ids were found before it.
    let _ = seek.deserialize(&mut serde_json::Deserializer::from_slice(head));
    found.retain(|id| is_name(id));
    found
}

/// Follows a path of fields, through every element of lists, and collects the strings there.
struct Seek<'a> {
    path: &'a [&'a str],
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.path {
                [first, rest @ ..] if key == *first => {
                    map.next_value_seed(Seek { path: rest, found: self.found })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Seek { path: self.path, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.path.is_empty() {
            self.found.push(text.to_owned());
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::error::{ApiError, Incomplete};

    const ANSWER: &str = r#"{"resultSetSize":2,"results":[
        {"owner":{"id":"oooo-oooo"},"resource":{"name":"\"id\":\"nnnn-nnnn\"","n":[1.5,null,true,-2],
         "parent":{"id":"pppp-pppp"},"id":7}},{"resource":{"id":"N/A"}},
        {"resource":{"parent_fxf":["qqqq-qqqq"],"id":"aaaa-bbbb","description":"long"},"creator":{"id":"c"}}]}"#;

    #[test]
    fn only_ids_of_results_are_found_wherever_the_answer_ends() {
        let end_of_id = ANSWER.find("aaaa-bbbb\"").unwrap() + "aaaa-bbbb\"".len();
        for length in 0..ANSWER.len() {
            let expected = if length >= end_of_id { vec!["aaaa-bbbb"] } else { Vec::new() };
            assert_eq!(ids(&ANSWER.as_bytes()[..length]), expected, "after {length} bytes");
        }
    }

    #[test]
    fn other_texts_contain_no_id() {
        for odd in ["", "<html>", "[]", r#"{"results":{"id":"aaaa-aaaa"}}"#, r#"{"results":"aaaa-aaaa"}"#] {
            assert_eq!(ids(odd.as_bytes()), Vec::<String>::new(), "{odd}");
        }
    }

    /// Identifies an object of which this part was received this many times, for a lane that has just skipped some.
    fn of(reason: Incomplete, body: &str, times: u32, skipped: u32) -> Result<Unreadable, &'static str> {
        after(&[], reason, body, times, skipped)
    }

    /// The same, after readable objects with these ids.
    fn after(
        before: &[&str],
        reason: Incomplete,
        body: &str,
        times: u32,
        skipped: u32,
    ) -> Result<Unreadable, &'static str> {
        let error = ApiError::incomplete(reason, body.as_bytes(), None);
        let failed = Failed { request_id: Uuid::nil(), spent: None, incomplete: times, error };
        identify("2222-2222", before, &failed, skipped)
    }

    fn named(id: &str) -> Result<Unreadable, &'static str> {
        Ok(Unreadable::Id(id.to_owned()))
    }

    #[test]
    fn only_an_object_that_is_certain_to_be_the_next_one_is_skipped() {
        const ONE: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa"}},{"reso"#;
        const TWO: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa"}},{"resource":{"id":"aaaa-bbbb"},"#;
        const BEFORE: &str = r#"{"results":[{"resource":{"id":"2222-2222"},"#;
        let (cut_off, too_large) = (Incomplete::CutOff, Incomplete::TooLarge(7));
        assert_eq!(of(cut_off, ONE, 2, 0), named("aaaa-aaaa"));
        assert!(of(cut_off, TWO, 2, 0).is_err_and(|why| why.contains("several")));
        assert!(of(cut_off, BEFORE, 2, 0).is_err_and(|why| why.contains("another position")));
        // A network error must occur twice; a size does not change.
        assert!(of(cut_off, ONE, 1, 0).is_err_and(|why| why.contains("only one response")));
        assert_eq!(of(too_large, ONE, 1, 0), named("aaaa-aaaa"));
        // The second one may be readable alone.
        assert_eq!(after(&["aaaa-aaaa"], too_large, TWO, 1, MAX_IN_A_ROW), Ok(Unreadable::LaterId));
        let twins = TWO.replace("bbbb", "aaaa");
        assert_eq!(after(&["aaaa-aaaa"], too_large, &twins, 1, 0), named("aaaa-aaaa"));
        assert!(after(&["aaaa-aaaa"], too_large, ONE, 1, 0).is_err_and(|why| why.contains("no id")));
        assert!(
            after(&["bbbb-bbbb"], too_large, TWO, 1, 0).is_err_and(|why| why.contains("another position"))
        );
    }

    #[test]
    fn without_structure_an_object_may_have_no_id() {
        const WITHOUT_ID: &str = r#"{"results":[{"resource":{"name":"a"b","id":"aaaa-aaaa"}}]}"#;
        const NAMED: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa","name":"a"b"}}]}"#;
        assert_eq!(of(Incomplete::Torn, WITHOUT_ID, 1, 0), Ok(Unreadable::NoId));
        assert_eq!(of(Incomplete::Torn, NAMED, 1, 0), named("aaaa-aaaa"));
        assert!(of(Incomplete::Torn, WITHOUT_ID, 1, MAX_IN_A_ROW).is_err());
    }

    #[test]
    fn only_a_few_in_a_row_are_skipped() {
        const ONE: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa"},"#;
        for skipped in 0..=MAX_IN_A_ROW {
            assert_eq!(of(Incomplete::TooLarge(7), ONE, 1, skipped).is_ok(), skipped < MAX_IN_A_ROW);
        }
    }
}
