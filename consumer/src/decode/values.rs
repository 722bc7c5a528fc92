//! Reads the values of a row. What can't be read becomes null and is named.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::decode::literal::{JsonObject, array_literal};
use crate::decode::sanitize::sanitize_json;
use catalog_shared::fields::{Fields, Text};

/// How many bytes of a text go into an index: well under the 2,704 that a B-tree entry may have.
const INDEXED_BYTES: usize = 1000;

/// The names of the parallel arrays that describe an asset's columns, and what each is called in a row.
const COLUMN_FIELDS: [(&str, &str); 5] = [
    ("columns_name", "name"),
    ("columns_field_name", "field_name"),
    ("columns_datatype", "datatype"),
    ("columns_description", "description"),
    ("columns_format", "format"),
];

/// Reads values and keeps the names of those that had to be nulled, cut or sanitized.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) unreadable: Vec<String>,
}

impl Reader {
    /// The fields of an object; none where it is something else.
    pub(crate) fn fields<'a>(&mut self, path: &str, value: Option<&'a RawValue>) -> Fields<'a> {
        let fields = value.and_then(Fields::of);
        if value.is_some() && fields.is_none() {
            self.name(path);
        }
        fields.unwrap_or_default()
    }

    /// A text; null where it is blank.
    pub(crate) fn text(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let Text(text) = self.read(path, value)?;
        (!text.trim().is_empty()).then(|| text.into_owned())
    }

    /// A text that is in an index, cut to what one takes.
    pub(crate) fn indexed_text(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let mut text = self.text(path, value)?;
        if text.len() > INDEXED_BYTES {
            self.name(path);
            text.truncate(cut(&text).len());
        }
        Some(text)
    }

    /// A list of texts as an array literal, each cut to what an index takes.
    pub(crate) fn list(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let items: Vec<Option<Text<'_>>> = self.read(path, value)?;
        if items.iter().flatten().any(|Text(text)| text.len() > INDEXED_BYTES) {
            self.name(path);
        }
        Some(array_literal(items.iter().map(|item| item.as_ref().map(|Text(text)| cut(text)))))
    }

    /// A list of whatever, as JSON text.
    pub(crate) fn json_list(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let value = value?;
        if value.get().starts_with('[') {
            return Some(value.get().to_owned());
        }
        self.name(path);
        None
    }

    /// A whole number that `bigint` holds.
    pub(crate) fn integer(&mut self, path: &str, value: Option<&RawValue>) -> Option<i64> {
        self.read(path, value)
    }

    /// A time as RFC 3339 writes it.
    pub(crate) fn time(&mut self, path: &str, value: Option<&RawValue>) -> Option<OffsetDateTime> {
        let Text(text) = self.read(path, value)?;
        if text.trim().is_empty() {
            return None;
        }
        // Some that can be written leave the calendar in UTC.
        let time = OffsetDateTime::parse(&text, &Rfc3339).ok();
        let time = time.and_then(|time| time.checked_to_offset(UtcOffset::UTC));
        if time.is_none() {
            self.name(path);
        }
        time
    }

    /// The columns of an asset as a JSON list of objects, zipped from the API's parallel arrays.
    pub(crate) fn columns(&mut self, resource: &Fields<'_>) -> Option<String> {
        let mut arrays = Vec::with_capacity(COLUMN_FIELDS.len());
        for (field, name) in COLUMN_FIELDS {
            let Some(value) = resource.get(field) else { continue };
            let items: Vec<&RawValue> = self.read("resource.columns", Some(value))?;
            arrays.push((name, items));
        }
        let length = arrays.first()?.1.len();
        if arrays.iter().any(|(_, items)| items.len() != length) {
            self.name("resource.columns");
            return None;
        }
        Some(zip(&arrays, length))
    }

    /// Names the fields that hold what had to be sanitized. Where it was the name of a field, the object around it is named.
    pub(crate) fn name_sanitized(&mut self, original: &str) {
        let before = self.unreadable.len();
        if let Ok(fields) = serde_json::from_str::<Fields<'_>>(original) {
            fields.iter().for_each(|(name, value)| self.name_sanitized_field(name, value));
        }
        if self.unreadable.len() == before {
            self.name("the name of a field");
        }
    }

    fn name_sanitized_field(&mut self, name: &str, value: &RawValue) {
        let is_sanitized =
            |value: &RawValue, depth| matches!(sanitize_json(value.get(), depth), Cow::Owned(_));
        if !is_sanitized(value, 1) {
            return;
        }
        let before = self.unreadable.len();
        if let Some(inner) = Fields::of(value) {
            let sanitized = inner.iter().filter(|(_, value)| is_sanitized(value, 2));
            sanitized.for_each(|(field, _)| self.name(&format!("{name}.{field}")));
        }
        if self.unreadable.len() == before {
            self.name(name);
        }
    }

    fn read<'a, T: Deserialize<'a>>(&mut self, path: &str, value: Option<&'a RawValue>) -> Option<T> {
        let read = serde_json::from_str(value?.get()).ok();
        if read.is_none() {
            self.name(path);
        }
        read
    }

    fn name(&mut self, path: &str) {
        // A name is in the list itself, so it must be storable too.
        self.unreadable.push(path.replace('\0', "\u{fffd}"));
    }
}

/// The beginning of a text that an index takes, whole characters only.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(INDEXED_BYTES)]
}

fn zip(arrays: &[(&str, Vec<&RawValue>)], length: usize) -> String {
    let mut out = String::from("[");
    for place in 0..length {
        if place > 0 {
            out.push(',');
        }
        let mut column = JsonObject::new();
        for (name, items) in arrays {
            column.field(name, items[place].get());
        }
        out.push_str(&column.finish());
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn long_texts_of_an_index_are_cut_at_a_character_and_named() {
        let mut reader = Reader::default();
        let long = raw(&format!("\"{}\"", "é".repeat(900)));
        assert_eq!(reader.indexed_text("a", Some(&long)).map(|text| text.len()), Some(1000));
        let tags = raw(&format!("[\"x\",\"{}\"]", "y".repeat(1001)));
        assert_eq!(reader.list("b", Some(&tags)).map(|text| text.len()), Some(1000 + "{\"x\",\"\"}".len()));
        assert_eq!(reader.unreadable, ["a", "b"]);
    }

    #[test]
    fn numbers_out_of_range_and_dates_that_are_none_are_null() {
        let mut reader = Reader::default();
        assert_eq!(reader.integer("n", Some(&raw("9223372036854775808"))), None);
        assert_eq!(reader.integer("m", Some(&raw("-3"))), Some(-3));
        assert_eq!(reader.time("t", Some(&raw("\"2020-02-30T00:00:00.000Z\""))), None);
        assert!(reader.time("u", Some(&raw("\"2020-02-29T00:00:00.000Z\""))).is_some());
        assert_eq!(reader.unreadable, ["n", "t"]);
    }

    #[test]
    fn sanitized_fields_are_named_one_level_down() {
        let mut reader = Reader::default();
        reader.name_sanitized(r#"{"a":"\u0000","resource":{"x":["\ud800"],"y":1},"b":[]}"#);
        assert_eq!(reader.unreadable, ["a", "resource.x"]);
        for (original, named) in [
            (r#"{"\u0000":1}"#, "the name of a field"),
            (r#"{"\ud800":1}"#, "the name of a field"),
            (r#"{"a":{"\u0000":1}}"#, "a"),
            (r#"{"a":{"\udfff":1}}"#, "a"),
        ] {
            let mut reader = Reader::default();
            reader.name_sanitized(original);
            assert_eq!(reader.unreadable, [named], "{original}");
        }
    }
}
