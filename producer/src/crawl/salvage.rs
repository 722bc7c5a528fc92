//! An object that can't be had: whether it may be stepped over, and its id from the part of the answer that
//! came.

use std::fmt;

use catalog_shared::key::is_name;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::api::error::Failed;

/// How many objects a lane steps over in a row. That more of them can't be had is no oddity of theirs: the
/// server, or a limit that is too low, is at fault, and a crawl that goes on would leave most of the catalog
/// out.
pub(crate) const IN_A_ROW: u32 = 3;

/// Where the id of a result object is.
const ID: &[&str] = &["results", "resource", "id"];

/// An object that can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Its id is known.
    Named(String),
    /// A larger id has come behind those that can be had, so that all objects with their ids are known.
    Further,
    /// The answer came and has no structure, and no id before the place where it breaks.
    Unnamed,
}

/// The first object behind `after`, and behind others with these ids, that can't be had: where it is sure which
/// one that is, and the lane may step over it, having just stepped over so many.
///
/// # Errors
/// Why the lane has to stop instead, as it is said behind its bounds; nothing where the error says it all.
pub(crate) fn unavailable(
    after: &str,
    before: &[&str],
    error: &Failed,
    stepped: u32,
) -> Result<Missing, &'static str> {
    let head = error.incomplete_head().ok_or("")?;
    let found = ids(head);
    let last = before.last().copied().unwrap_or_default();
    let missing = match found.get(before.len()..).unwrap_or_default() {
        [] if error.error.is_torn() => Missing::Unnamed,
        [] => return Err("; what came of it has no id"),
        // As of a server or a cache that ignores `limit`: what lies between them would be lost.
        [_, _, ..] => return Err("; several objects came where one was asked for"),
        [id] if id.as_str() <= after || id.as_str() < last => return Err("; what came is of another place"),
        [id] if !before.is_empty() && id.as_str() > last => return Ok(Missing::Further),
        [id] => Missing::Named(id.clone()),
    };
    if !error.will_stay() {
        return Err("; it came incomplete only once");
    }
    if stepped == IN_A_ROW {
        return Err("; nor can the objects before it be had, so that it is no oddity");
    }
    Ok(missing)
}

/// The usable ids of result objects in an answer that may end anywhere. Ids elsewhere (of owners, of parents)
/// are none.
fn ids(head: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let seek = Seek { path: ID, found: &mut found };
    // Its end is missing, so this is an error; what counts was found on the way.
    let _ = seek.deserialize(&mut serde_json::Deserializer::from_slice(head));
    found.retain(|id| is_name(id));
    found
}

/// Goes down a path of fields, through every element of the lists it meets, and keeps the texts there.
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
    fn only_the_id_of_a_result_is_one_wherever_the_answer_ends() {
        let end_of_id = ANSWER.find("aaaa-bbbb\"").unwrap() + "aaaa-bbbb\"".len();
        for length in 0..ANSWER.len() {
            let expected = if length >= end_of_id { vec!["aaaa-bbbb"] } else { Vec::new() };
            assert_eq!(ids(&ANSWER.as_bytes()[..length]), expected, "after {length} bytes");
        }
    }

    #[test]
    fn what_is_no_answer_holds_no_id() {
        for odd in ["", "<html>", "[]", r#"{"results":{"id":"aaaa-aaaa"}}"#, r#"{"results":"aaaa-aaaa"}"#] {
            assert_eq!(ids(odd.as_bytes()), Vec::<String>::new(), "{odd}");
        }
    }

    /// What becomes of an object of which this came, so many times, by a lane that has just stepped over some.
    fn of(reason: Incomplete, body: &str, times: u32, stepped: u32) -> Result<Missing, &'static str> {
        behind(&[], reason, body, times, stepped)
    }

    /// The same where objects with these ids can be had before it.
    fn behind(
        before: &[&str],
        reason: Incomplete,
        body: &str,
        times: u32,
        stepped: u32,
    ) -> Result<Missing, &'static str> {
        let error = ApiError::incomplete(reason, body.as_bytes(), None);
        let failed = Failed { request_id: Uuid::nil(), spent: None, incomplete: times, error };
        unavailable("2222-2222", before, &failed, stepped)
    }

    fn named(id: &str) -> Result<Missing, &'static str> {
        Ok(Missing::Named(id.to_owned()))
    }

    #[test]
    fn only_one_object_that_is_sure_to_be_the_next_is_stepped_over() {
        const ONE: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa"}},{"reso"#;
        const TWO: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa"}},{"resource":{"id":"aaaa-bbbb"},"#;
        const BEFORE: &str = r#"{"results":[{"resource":{"id":"2222-2222"},"#;
        let (cut_off, too_large) = (Incomplete::CutOff, Incomplete::TooLarge(7));
        assert_eq!(of(cut_off, ONE, 2, 0), named("aaaa-aaaa"));
        assert!(of(cut_off, TWO, 2, 0).is_err_and(|why| why.contains("several")));
        assert!(of(cut_off, BEFORE, 2, 0).is_err_and(|why| why.contains("another place")));
        // What may have been the network's fault is seen twice; that it is too large will not change.
        assert!(of(cut_off, ONE, 1, 0).is_err_and(|why| why.contains("only once")));
        assert_eq!(of(too_large, ONE, 1, 0), named("aaaa-aaaa"));
        // The second one may be had by itself.
        assert_eq!(behind(&["aaaa-aaaa"], too_large, TWO, 1, IN_A_ROW), Ok(Missing::Further));
        let twins = TWO.replace("bbbb", "aaaa");
        assert_eq!(behind(&["aaaa-aaaa"], too_large, &twins, 1, 0), named("aaaa-aaaa"));
        assert!(behind(&["aaaa-aaaa"], too_large, ONE, 1, 0).is_err_and(|why| why.contains("no id")));
        assert!(behind(&["bbbb-bbbb"], too_large, TWO, 1, 0).is_err_and(|why| why.contains("another place")));
    }

    #[test]
    fn what_has_no_structure_may_have_no_name() {
        const NAMELESS: &str = r#"{"results":[{"resource":{"name":"a"b","id":"aaaa-aaaa"}}]}"#;
        const NAMED: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa","name":"a"b"}}]}"#;
        assert_eq!(of(Incomplete::Torn, NAMELESS, 1, 0), Ok(Missing::Unnamed));
        assert_eq!(of(Incomplete::Torn, NAMED, 1, 0), named("aaaa-aaaa"));
        assert!(of(Incomplete::Torn, NAMELESS, 1, IN_A_ROW).is_err());
    }

    #[test]
    fn a_few_in_a_row_are_stepped_over_and_no_more() {
        const ONE: &str = r#"{"results":[{"resource":{"id":"aaaa-aaaa"},"#;
        for stepped in 0..=IN_A_ROW {
            assert_eq!(of(Incomplete::TooLarge(7), ONE, 1, stepped).is_ok(), stepped < IN_A_ROW);
        }
    }
}
