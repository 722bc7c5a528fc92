//! Equivalent forms of JSON: members in any order, white space, escapes.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

/// The source of random choices.
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

impl From<u64> for Draw {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}

impl Draw {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // xorshift64; zero would stay zero.
        self.0 = self.0.max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn permutation(&mut self, length: usize) -> Vec<usize> {
        let mut indexes: Vec<usize> = (0..length).collect();
        for index in (1..length).rev() {
            indexes.swap(index, self.below(index + 1));
        }
        indexes
    }
}

pub(super) fn draw() -> impl Strategy<Value = Draw> {
    any::<u64>().prop_map(Draw)
}

/// The JSON text of a value with members in any order, any white space, and any spelling of strings.
pub(super) fn rendered(value: &Value, draw: &mut Draw) -> String {
    let mut out = String::new();
    render(&mut out, value, draw);
    out
}

fn render(out: &mut String, value: &Value, draw: &mut Draw) {
    blank(out, draw);
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().collect();
            out.push('{');
            for (number, index) in draw.permutation(fields.len()).into_iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                blank(out, draw);
                render_string(out, fields[index].0, draw);
                blank(out, draw);
                out.push(':');
                render(out, fields[index].1, draw);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                render(out, item, draw);
            }
            out.push(']');
        }
        Value::String(text) => render_string(out, text, draw),
        other => out.push_str(&other.to_string()),
    }
    blank(out, draw);
}

fn blank(out: &mut String, draw: &mut Draw) {
    out.push_str(["", "", " ", "\n", "\t", "\r\n  "][draw.below(6)]);
}

fn render_string(out: &mut String, text: &str, draw: &mut Draw) {
    out.push('"');
    for c in text.chars() {
        match draw.below(3) {
            0 => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(out, "\\u{unit:04x}").unwrap()),
            1 if c == '/' => out.push_str("\\/"),
            _ => {
                let quoted = Value::from(c.to_string()).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
    out.push('"');
}
