//! Canonical JSON text: two texts with the same meaning have the same canonical text.
//!
//! Members are ordered by the bytes of their names. If a name repeats, the last member counts, as in `jsonb`. Strings
//! have one way of escaping, without Unicode normalisation. Numbers keep their spelling. There is no white space between
//! tokens. Lists keep their order; `asset.rs` sorts those whose order is ignored.
//!
//! The input must be the output of [`sanitize_json`](crate::decode::sanitize::sanitize_json): every escape can be
//! decoded, and the nesting is limited.

use std::borrow::Cow;

use catalog_shared::fields::Text;

use crate::decode::tree::{Member, Node};

/// Appends the canonical text of a value.
pub(crate) fn write(out: &mut String, value: &Node<'_>) {
    match value {
        Node::Scalar(text) => out.push_str(&scalar(text)),
        Node::List(elements) => write_list(out, elements.iter(), write),
        Node::Object(members) => write_object(out, members, |out, _, value| write(out, value)),
    }
}

/// The canonical text of a value. It is borrowed if the value is a canonical scalar.
pub(crate) fn text<'a>(value: &Node<'a>) -> Cow<'a, str> {
    match value {
        Node::Scalar(text) => scalar(text),
        Node::List(_) | Node::Object(_) => {
            let mut out = String::new();
            write(&mut out, value);
            Cow::Owned(out)
        }
    }
}

/// Appends an object. Its members are in canonical order.
pub(crate) fn write_object<'n, 'a: 'n>(
    out: &mut String,
    members: impl IntoIterator<Item = &'n Member<'a>>,
    write_value: impl Fn(&mut String, &str, &Node<'a>),
) {
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, name);
        out.push(':');
        write_value(out, name, value);
    }
    out.push('}');
}

/// Appends a list in the order given.
pub(crate) fn write_list<T>(
    out: &mut String,
    elements: impl Iterator<Item = T>,
    write_element: impl Fn(&mut String, T),
) {
    out.push('[');
    for (index, element) in elements.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_element(out, element);
    }
    out.push(']');
}

/// The canonical form of a scalar's JSON text. Only a string with an escape can change.
fn scalar(json: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', json.as_bytes()).is_none() {
        return Cow::Borrowed(json);
    }
    let Ok(Text(decoded)) = serde_json::from_str(json) else { return Cow::Borrowed(json) };
    let mut out = String::with_capacity(json.len());
    push_string(&mut out, &decoded);
    Cow::Owned(out)
}

/// Appends a string as JSON text. Only quotes, backslashes and control characters are escaped.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
        let quoted = serde_json::Value::from(text).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    } else {
        out.push_str(text);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        let value = Node::of_json(json).unwrap();
        let mut out = String::new();
        write(&mut out, &value);
        assert_eq!(out, text(&value));
        out
    }

    #[test]
    fn members_are_ordered_by_bytes_and_white_space_is_dropped_at_every_depth() {
        let pretty =
            "{ \"b\" : [ 1 , { \"z\" : null , \"a\" : { } } ] ,\n\t\"a b\" : \"x y\" , \"é\" : 1, \"Z\":2 }";
        assert_eq!(canonical(pretty), r#"{"Z":2,"a b":"x y","b":[1,{"a":{},"z":null}],"é":1}"#);
    }

    #[test]
    fn the_last_member_of_a_repeated_name_counts_in_any_spelling() {
        let repeated = r#"{"a":1,"\u0061":{"x":1,"y":2,"x":3},"b":0}"#;
        assert_eq!(canonical(repeated), r#"{"a":{"x":3,"y":2},"b":0}"#);
    }

    #[test]
    fn strings_have_one_spelling_and_numbers_keep_theirs() {
        let spelled =
            "[\"\\u0041\\/\\u00e9\\ud83d\\ude00\\u001F\\n\\u000a\\\"\u{7f}e\u{301}\",1,1.0,1e0,1E+0,-0]";
        let written = "[\"A/é😀\\u001f\\n\\n\\\"\u{7f}e\u{301}\",1,1.0,1e0,1E+0,-0]";
        assert_eq!(canonical(spelled), written);
        assert_eq!(canonical(written), written);
    }
}
