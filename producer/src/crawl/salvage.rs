//! The id of an object that can't be had, from the part of the answer that came.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Where the id of a result object is.
const ID: &[&str] = &["results", "resource", "id"];

/// The last id of a result object in an answer that may end anywhere. Ids elsewhere (of owners, of
/// parents) are none.
pub(crate) fn last_id(head: &[u8]) -> Option<String> {
    let mut found = None;
    let seek = Seek { path: ID, found: &mut found };
    // Its end is missing, so this is an error; what counts was found on the way.
    let _ = seek.deserialize(&mut serde_json::Deserializer::from_slice(head));
    found
}

/// Goes down a path of fields, through every element of the lists it meets, and keeps the last text.
struct Seek<'a> {
    path: &'a [&'a str],
    found: &'a mut Option<String>,
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
            *self.found = Some(text.to_owned());
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
    use super::*;

    const ANSWER: &str = r#"{"resultSetSize":2,"results":[
        {"owner":{"id":"oooo-oooo"},"resource":{"name":"\"id\":\"nnnn-nnnn\"","n":[1.5,null,true,-2],
         "parent":{"id":"pppp-pppp"},"id":7}},
        {"resource":{"parent_fxf":["qqqq-qqqq"],"id":"aaaa-bbbb","description":"long"},"creator":{"id":"c"}}]}"#;

    #[test]
    fn only_the_id_of_a_result_is_one_wherever_the_answer_ends() {
        let end_of_id = ANSWER.find("aaaa-bbbb\"").unwrap() + "aaaa-bbbb\"".len();
        for length in 0..ANSWER.len() {
            let expected = (length >= end_of_id).then_some("aaaa-bbbb");
            assert_eq!(last_id(&ANSWER.as_bytes()[..length]).as_deref(), expected, "after {length} bytes");
        }
    }

    #[test]
    fn what_is_no_answer_holds_no_id() {
        for odd in ["", "<html>", "[]", r#"{"results":{"id":"aaaa-aaaa"}}"#, r#"{"results":"aaaa-aaaa"}"#] {
            assert_eq!(last_id(odd.as_bytes()), None, "{odd}");
        }
    }
}
