//! The fields of a JSON object as raw bytes, so that only the needed ones are parsed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The fields of an object in their order. If a name is repeated, the last one counts, as in `jsonb`.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The fields of an object; `None` if the value is not an object.
    pub fn of(value: &'a RawValue) -> Option<Self> {
        value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok()).flatten()
    }

    /// The value of a field, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// All fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(32);
        while let Some((Text(name), value)) = map.next_entry()? {
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

/// A string that is borrowed unless it contains escapes.
#[derive(Deserialize)]
pub struct Text<'a>(
    /// The text itself.
    #[serde(borrow)]
    pub Cow<'a, str>,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_repeated_fields_counts_and_null_counts_as_absent() {
        let fields: Fields<'_> = serde_json::from_str(r#"{"a":1,"b":null,"a": [2] ,"\u0063":"x"}"#).unwrap();
        let get = |name| fields.get(name).map(RawValue::get);
        assert_eq!((get("a"), get("b"), get("c"), get("d")), (Some("[2]"), None, Some("\"x\""), None));
    }
}
