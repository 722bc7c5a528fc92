//! Parses a page in one pass over its bytes: finds the end of each object, checks it, and reads five strings.
//!
//! Supports plain pages only. Anything unexpected (a field of another type, an invalid string, broken JSON) is left to
//! `parse`, which reads an object several times.

use std::borrow::Cow;
use std::fmt;
use std::str;

use bytes::Bytes;
use catalog_shared::fields::Text;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::api::texts::Texts;
use crate::model::page::Object;

/// The objects of a plain answer; `None` if it is not plain.
pub(crate) fn objects(body: &Bytes) -> Option<Vec<Object>> {
    let mut reader = ByteCursor { text: str::from_utf8(body).ok()?, at: 0 };
    let mut found = None;
    reader.expect(b'{')?;
    loop {
        let Text(name) = reader.value()?;
        reader.expect(b':')?;
        if name == "results" {
            let list = reader.list(body)?;
            // With two lists it is ambiguous which one is valid.
            if found.replace(list).is_some() {
                return None;
            }
        } else {
            reader.value::<IgnoredAny>()?;
        }
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    // Nothing may follow the object.
    reader.next().is_none().then_some(found)?
}

/// A position in an answer.
struct ByteCursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> ByteCursor<'a> {
    /// Skips white space and returns the next byte without consuming it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// Skips white space and consumes the next byte.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The next value. Reads it from a stream, because that knows where its values end.
    fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_str(self.text.get(self.at..)?).into_iter();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    /// A list of objects.
    fn list(&mut self, body: &Bytes) -> Option<Vec<Object>> {
        self.expect(b'[')?;
        let mut objects = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(objects);
        }
        loop {
            self.peek()?;
            let start = self.at;
            let texts: Texts<'_> = self.value()?;
            objects.push(texts.object(body.slice(start..self.at)));
            match self.next()? {
                b',' => {}
                b']' => return Some(objects),
                _ => return None,
            }
        }
    }
}

impl<'de> Deserialize<'de> for Texts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut texts = Self::default();
        Part { texts: &mut texts, level: Level::Object }.deserialize(deserializer)?;
        Ok(texts)
    }
}

/// A field name that is read in some part of an object.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Resource,
    Metadata,
    Permalink,
    Id,
    Attribution,
    Domain,
    #[serde(rename = "updatedAt")]
    UpdatedAt,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy)]
enum Level {
    Object,
    Resource,
    Metadata,
}

/// The result object, or one of the nested objects with strings. If a name is repeated, the last one counts.
struct Part<'t, 'a> {
    texts: &'t mut Texts<'a>,
    level: Level,
}

impl<'de> DeserializeSeed<'de> for Part<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { texts, level } = self;
        while let Some(name) = map.next_key()? {
            match (level, name) {
                (Level::Object, Name::Resource) => {
                    (texts.id, texts.attribution, texts.updated_at) = (None, None, None);
                    map.next_value_seed(Part { texts, level: Level::Resource })?;
                }
                (Level::Object, Name::Metadata) => {
                    texts.domain = None;
                    map.next_value_seed(Part { texts, level: Level::Metadata })?;
                }
                (Level::Object, Name::Permalink) => texts.permalink = text(&mut map)?,
                (Level::Resource, Name::Id) => texts.id = text(&mut map)?,
                (Level::Resource, Name::Attribution) => texts.attribution = text(&mut map)?,
                (Level::Resource, Name::UpdatedAt) => texts.updated_at = text(&mut map)?,
                (Level::Metadata, Name::Domain) => texts.domain = text(&mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A string or null.
fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    Ok(map.next_value::<Option<Text<'de>>>()?.map(|Text(text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::parse::each_object;

    const BODY: &str = r#"{"resultSetSize":2, "results":[
        {"resource":{"name":"a \"b\" {[","id":"aaaa-bbbb","attribution":" Parks\u00e9 ","updatedAt":"2026-01-31T12:00:00.000Z","columns":["x",1.5e3]},
         "metadata":{"domain":"a.example","n":{"id":"no"}},"permalink":"https://A.example/d/aaaa-bbbb","o":[]},
        {"metadata":{"domain":"no"},"resource":{"attribution":"no"},"metadata":{},"resource":{"id":"é"}}
        ] ,"timings":{"ms":[3]}} "#;

    /// What is inserted at each position of an answer: structure, broken and unusual strings, repeated fields.
    const INSERTED: [&[u8]; 27] = [
        b"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\\",
        b" ",
        b"\n",
        b"\x01",
        b"\xff",
        b"0",
        b"-",
        b"e",
        b"null",
        b"{}",
        b"[]",
        b"\"\"",
        b"1e999",
        b"\\ud800",
        b"\\u0041",
        b"\"id\":\"cccc\",",
        b"\"resource\":7,",
        b"\"results\":[],",
        b"{\"resource\":{\"id\":[\"x\"]}},",
    ];

    /// Whether an answer was parsed here. If so, the result must be that of the general parser.
    fn agrees(body: Vec<u8>) -> bool {
        let body = Bytes::from(body);
        let Some(objects) = objects(&body) else { return false };
        assert_eq!(each_object(&body).unwrap(), objects, "{:?}", String::from_utf8_lossy(&body));
        true
    }

    #[test]
    fn a_page_with_one_edit_is_parsed_like_the_general_parser_or_left_to_it() {
        assert!(agrees(BODY.into()));
        let mut parsed = 0;
        for at in 0..BODY.trim_end().len() {
            assert!(!agrees(BODY.as_bytes()[..at].to_vec()), "cut off after {at} bytes");
            for inserted in INSERTED {
                let (before, after) = BODY.as_bytes().split_at(at);
                parsed += usize::from(agrees([before, inserted, after].concat()));
                parsed += usize::from(agrees([before, inserted, &after[1..]].concat()));
            }
        }
        assert!(parsed > BODY.len(), "only {parsed} edited pages were parsed here");
    }

    /// All values of each field combined with all values of the others.
    #[test]
    fn unusual_fields_are_parsed_like_the_general_parser_or_left_to_it() {
        const TEXTS: [&str; 9] = [
            "null",
            r#""""#,
            r#"" x ""#,
            r#""\u00e9\n""#,
            r#""\ud800""#,
            "7",
            "[]",
            "{}",
            r#""http://x.y/z""#,
        ];
        let objects = |resource: &str, metadata: &str, link: &str| {
            format!(r#"{{"results":[{{"resource":{resource},"metadata":{metadata},"permalink":{link}}}]}}"#)
        };
        let (mut parsed, mut all) = (0, 0);
        for id in TEXTS {
            for other in TEXTS {
                let resource = format!(r#"{{"id":{id},"attribution":{other}}}"#);
                let metadata = format!(r#"{{"domain":{id},"domain":{other}}}"#);
                for link in TEXTS {
                    for body in [objects(&resource, &metadata, link), objects(id, &metadata, link)] {
                        parsed += usize::from(agrees(body.into()));
                        all += 1;
                    }
                }
            }
        }
        assert!(parsed * 20 > all, "only {parsed} of {all} were parsed here");
    }
}
