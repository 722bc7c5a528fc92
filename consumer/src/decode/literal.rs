//! Writes lists and objects as the text that PostgreSQL parses: array literals and JSON.

/// The value of a `text[]`. An element may be null.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TextArray(Vec<Option<String>>);

impl TextArray {
    pub(crate) fn elements(&self) -> &[Option<String>] {
        &self.0
    }

    /// As an array literal.
    pub(crate) fn literal(&self) -> String {
        array_literal(self.0.iter().map(Option::as_deref))
    }
}

impl FromIterator<Option<String>> for TextArray {
    fn from_iter<T: IntoIterator<Item = Option<String>>>(elements: T) -> Self {
        Self(elements.into_iter().collect())
    }
}

/// A list of texts as an array literal of PostgreSQL.
pub(crate) fn array_literal<'a>(items: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut out = String::from("{");
    for item in items {
        if out.len() > 1 {
            out.push(',');
        }
        match item {
            None => out.push_str("NULL"),
            Some(text) => push_quoted(&mut out, text),
        }
    }
    out.push('}');
    out
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// A JSON object that is built from fields whose values are JSON text.
pub(crate) struct JsonObject(String);

impl JsonObject {
    pub(crate) fn new() -> Self {
        let mut text = String::with_capacity(4096);
        text.push('{');
        Self(text)
    }

    pub(crate) fn field(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        if name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
            self.0.push_str(&serde_json::Value::from(name).to_string());
        } else {
            self.0.push('"');
            self.0.push_str(name);
            self.0.push('"');
        }
        self.0.push(':');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_quote_their_elements() {
        let items = [Some("a,b"), None, Some(r#"say "x\y""#), Some("")];
        assert_eq!(array_literal(items.into_iter()), r#"{"a,b",NULL,"say \"x\\y\"",""}"#);
        assert_eq!(array_literal(std::iter::empty()), "{}");
    }

    #[test]
    fn objects_keep_the_order_of_their_fields() {
        let mut object = JsonObject::new();
        object.field("c\"", "1");
        object.field("b", "{}");
        assert_eq!(object.finish(), r#"{"c\"":1,"b":{}}"#);
    }
}
