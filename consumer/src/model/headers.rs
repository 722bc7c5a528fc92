//! The headers of a record, as bytes. They are rendered as text only for dead letters.

use bytes::Bytes;
use rdkafka::message::Headers;
use serde_json::{Value, json};

use crate::model::arena::Arena;

/// The length that marks a header without a value. No header is that long.
const NO_VALUE: u32 = u32::MAX;

/// Headers in their order, each as: length of the name, length of the value (both `u32`), name, value.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawHeaders(Bytes);

impl RawHeaders {
    /// Copies headers.
    ///
    /// # Panics
    /// The client panics for a message with a header whose name is not UTF-8.
    pub(crate) fn copy(headers: &impl Headers, arena: &mut Arena) -> Self {
        Self(arena.copy_written(|bytes| {
            for header in headers.iter() {
                let length = header.value.map_or(NO_VALUE, length_of);
                bytes.extend(length_of(header.key.as_bytes()).to_ne_bytes());
                bytes.extend(length.to_ne_bytes());
                bytes.extend(header.key.as_bytes());
                bytes.extend(header.value.unwrap_or_default());
            }
        }))
    }

    /// The names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || next(&mut rest))
    }

    /// How many bytes they take.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// A JSON list of pairs of name and value, because names may repeat. A value that `jsonb` can't hold as text is an
    /// object with its bytes in hex.
    pub(crate) fn to_json(&self) -> String {
        let pair = |(name, value): (&str, Option<&[u8]>)| json!([name, value.map(value_to_json)]).to_string();
        let pairs: Vec<String> = self.iter().map(pair).collect();
        format!("[{}]", pairs.join(","))
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    // A Kafka message is smaller than 2 GiB.
    u32::try_from(bytes.len()).unwrap_or_default()
}

/// Takes the next header off the front.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, Option<&'a [u8]>)> {
    let (name_length, tail) = rest.split_first_chunk()?;
    let (value_length, tail) = tail.split_first_chunk()?;
    let (name, tail) = tail.split_at_checked(u32::from_ne_bytes(*name_length) as usize)?;
    let value_length = u32::from_ne_bytes(*value_length);
    let has_value = value_length != NO_VALUE;
    let (value, tail) = tail.split_at_checked(if has_value { value_length as usize } else { 0 })?;
    *rest = tail;
    Some((std::str::from_utf8(name).ok()?, has_value.then_some(value)))
}

fn value_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.into(),
        _ => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn headers_are_kept_in_order_with_repeated_names_and_missing_values() {
        let pairs: [(&str, Option<&[u8]>); 5] = [
            ("kind", Some(b"hosts")),
            ("", Some(b"")),
            ("kind", None),
            ("é\n", Some(&[0, 255])),
            ("x", None),
        ];
        let insert = |all: OwnedHeaders, (key, value)| all.insert(Header { key, value });
        let headers = pairs.into_iter().fold(OwnedHeaders::new(), insert);
        let raw = RawHeaders::copy(&headers, &mut Arena::new());
        assert_eq!(raw.iter().collect::<Vec<_>>(), pairs);
        let json = r#"[["kind","hosts"],["",""],["kind",null],["é\n",{"hex":"00ff"}],["x",null]]"#;
        assert_eq!(raw.to_json(), json);
        assert_eq!(RawHeaders::default().to_json(), "[]");
    }
}
