//! Reads the values of a row. A value that can't be read becomes null, and its field is listed as unreadable.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::decode::literal::{JsonObject, TextArray};
use crate::decode::sanitize::sanitize_json;
use catalog_shared::fields::{Fields, Text};

/// The maximum length of an indexed text in bytes: well below the 2,704 bytes that a B-tree entry may have.
const INDEXED_BYTES: usize = 1000;

/// The names of the parallel arrays that describe an asset's columns, and their names in a row.
const COLUMN_FIELDS: [(&str, &str); 5] = [
    ("columns_name", "name"),
    ("columns_field_name", "field_name"),
    ("columns_datatype", "datatype"),
    ("columns_description", "description"),
    ("columns_format", "format"),
];

/// Reads values, and collects the names of those that became null or were truncated or sanitized.
#[derive(Default)]
pub(crate) struct FieldReader {
    pub(crate) unreadable: Vec<String>,
}

impl FieldReader {
    /// The fields of an object. Empty if the value is not an object.
    pub(crate) fn fields<'a>(&mut self, path: &str, value: Option<&'a RawValue>) -> Fields<'a> {
        let fields = value.and_then(Fields::of);
        if value.is_some() && fields.is_none() {
            self.list_unreadable(path);
        }
        fields.unwrap_or_default()
    }

    /// A text. `None` if it is blank.
    pub(crate) fn text(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let Text(text) = self.read(path, value)?;
        (!text.trim().is_empty()).then(|| text.into_owned())
    }

    /// A text for an indexed column, truncated to the maximum length.
    pub(crate) fn indexed_text(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let mut text = self.text(path, value)?;
        if text.len() > INDEXED_BYTES {
            self.list_unreadable(path);
            text.truncate(truncated(&text).len());
        }
        Some(text)
    }

    /// A list of texts. Each text is truncated, because it is indexed.
    pub(crate) fn list(&mut self, path: &str, value: Option<&RawValue>) -> Option<TextArray> {
        let items: Vec<Option<Text<'_>>> = self.read(path, value)?;
        if items.iter().flatten().any(|Text(text)| text.len() > INDEXED_BYTES) {
            self.list_unreadable(path);
        }
        Some(items.iter().map(|item| item.as_ref().map(|Text(text)| truncated(text).to_owned())).collect())
    }

    /// A list of any values, as JSON text.
    pub(crate) fn json_list(&mut self, path: &str, value: Option<&RawValue>) -> Option<String> {
        let value = value?;
        if value.get().starts_with('[') {
            return Some(value.get().to_owned());
        }
        self.list_unreadable(path);
        None
    }

    /// An integer in the range of `bigint`.
    pub(crate) fn integer(&mut self, path: &str, value: Option<&RawValue>) -> Option<i64> {
        self.read(path, value)
    }

    /// A time in the format of RFC 3339.
    pub(crate) fn time(&mut self, path: &str, value: Option<&RawValue>) -> Option<OffsetDateTime> {
        let Text(text) = self.read(path, value)?;
        if text.trim().is_empty() {
            return None;
        }
        // Near the end of year 9999, a valid time may have no equivalent in UTC.
        let time = OffsetDateTime::parse(&text, &Rfc3339).ok();
        let time = time.and_then(|time| time.checked_to_offset(UtcOffset::UTC));
        if time.is_none() {
            self.list_unreadable(path);
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
            self.list_unreadable("resource.columns");
            return None;
        }
        Some(zip(&arrays, length))
    }

    /// Lists the fields that had to be sanitized. If a field's name was sanitized, the enclosing object is listed.
    pub(crate) fn list_sanitized(&mut self, original: &str) {
        let before = self.unreadable.len();
        if let Ok(fields) = serde_json::from_str::<Fields<'_>>(original) {
            fields.iter().for_each(|(name, value)| self.list_sanitized_field(name, value));
        }
        if self.unreadable.len() == before {
            self.list_unreadable("the name of a field");
        }
    }

    fn list_sanitized_field(&mut self, name: &str, value: &RawValue) {
        let is_sanitized =
            |value: &RawValue, depth| matches!(sanitize_json(value.get(), depth), Cow::Owned(_));
        if !is_sanitized(value, 1) {
            return;
        }
        let before = self.unreadable.len();
        if let Some(inner) = Fields::of(value) {
            let sanitized = inner.iter().filter(|(_, value)| is_sanitized(value, 2));
            sanitized.for_each(|(field, _)| self.list_unreadable(&format!("{name}.{field}")));
        }
        if self.unreadable.len() == before {
            self.list_unreadable(name);
        }
    }

    fn read<'a, T: Deserialize<'a>>(&mut self, path: &str, value: Option<&'a RawValue>) -> Option<T> {
        let read = serde_json::from_str(value?.get()).ok();
        if read.is_none() {
            self.list_unreadable(path);
        }
        read
    }

    fn list_unreadable(&mut self, path: &str) {
        // The list is stored too, so its names must not contain NUL.
        self.unreadable.push(path.replace('\0', "\u{fffd}"));
    }
}

/// The beginning of a text that fits an index entry. No character is split.
pub(crate) fn truncated(text: &str) -> &str {
    &text[..text.floor_char_boundary(INDEXED_BYTES)]
}

fn zip(arrays: &[(&'static str, Vec<&RawValue>)], length: usize) -> String {
    let mut out = String::from("[");
    for index in 0..length {
        if index > 0 {
            out.push(',');
        }
        let mut column = JsonObject::begin(&mut out);
        for (name, items) in arrays {
            column.field(name, items[index].get());
        }
        column.end();
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
    fn long_indexed_texts_are_truncated_between_characters_and_listed() {
        let mut reader = FieldReader::default();
        let long = raw(&format!("\"{}\"", "é".repeat(900)));
        assert_eq!(reader.indexed_text("a", Some(&long)).map(|text| text.len()), Some(1000));
        let tags = raw(&format!("[\"x\",\"{}\"]", "y".repeat(1001)));
        let list = reader.list("b", Some(&tags)).unwrap();
        assert_eq!(list.elements(), [Some("x".to_owned()), Some("y".repeat(1000))]);
        assert_eq!(reader.unreadable, ["a", "b"]);
    }

    #[test]
    fn numbers_out_of_range_and_invalid_dates_are_null() {
        let mut reader = FieldReader::default();
        assert_eq!(reader.integer("n", Some(&raw("9223372036854775808"))), None);
        assert_eq!(reader.integer("m", Some(&raw("-3"))), Some(-3));
        assert_eq!(reader.time("t", Some(&raw("\"2020-02-30T00:00:00.000Z\""))), None);
        assert!(reader.time("u", Some(&raw("\"2020-02-29T00:00:00.000Z\""))).is_some());
        assert_eq!(reader.unreadable, ["n", "t"]);
    }

    #[test]
    fn sanitized_fields_are_listed_one_level_down() {
        let mut reader = FieldReader::default();
        reader.list_sanitized(r#"{"a":"\u0000","resource":{"x":["\ud800"],"y":1},"b":[]}"#);
        assert_eq!(reader.unreadable, ["a", "resource.x"]);
        for (original, named) in [
            (r#"{"\u0000":1}"#, "the name of a field"),
            (r#"{"\ud800":1}"#, "the name of a field"),
            (r#"{"a":{"\u0000":1}}"#, "a"),
            (r#"{"a":{"\udfff":1}}"#, "a"),
        ] {
            let mut reader = FieldReader::default();
            reader.list_sanitized(original);
            assert_eq!(reader.unreadable, [named], "{original}");
        }
    }
}
