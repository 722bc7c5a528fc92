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

/// Appends a JSON object to a text. Its values are JSON text, and its names need no escapes.
pub(crate) struct JsonObject<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> JsonObject<'a> {
    pub(crate) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    pub(crate) fn field(&mut self, name: &'static str, value: &str) {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out.push_str(value);
    }

    pub(crate) fn end(self) {
        self.out.push('}');
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
        let mut out = "[".to_owned();
        let mut object = JsonObject::begin(&mut out);
        object.field("c", "1");
        object.field("b", "{}");
        object.end();
        assert_eq!(out, r#"[{"c":1,"b":{}}"#);
    }
}
