//! A compact and fast JSON writer. One crawl may generate a million assets.

/// Appends JSON to bytes. It adds commas. The caller must match brackets.
pub(super) struct Json<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Opens an object.
    pub(super) fn open(&mut self) -> &mut Self {
        self.separate();
        self.out.push(b'{');
        self
    }

    /// Closes an object.
    pub(super) fn close(&mut self) -> &mut Self {
        self.out.push(b'}');
        self
    }

    /// Opens a list.
    pub(super) fn open_list(&mut self) -> &mut Self {
        self.separate();
        self.out.push(b'[');
        self
    }

    /// Closes a list.
    pub(super) fn close_list(&mut self) -> &mut Self {
        self.out.push(b']');
        self
    }

    /// A member's name. Its value must follow.
    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.text(key);
        self.out.push(b':');
        self
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.raw("null")
    }

    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    pub(super) fn integer(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_string())
    }

    /// A float always has a decimal point: 0 is `0.0`.
    pub(super) fn float(&mut self, value: f64) -> &mut Self {
        self.raw(&format!("{value:?}"))
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        // Most texts need no escapes. A pass over the whole text without a branch per byte detects that quickly.
        if text.bytes().fold(false, |odd, byte| odd | is_escaped(byte)) {
            self.escaped(text);
        } else {
            self.out.extend_from_slice(text.as_bytes());
        }
        self.out.push(b'"');
        self
    }

    fn escaped(&mut self, text: &str) {
        let mut clean = 0;
        for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| is_escaped(*byte)) {
            self.out.extend_from_slice(&text.as_bytes()[clean..at]);
            self.escape(byte);
            clean = at + 1;
        }
        self.out.extend_from_slice(&text.as_bytes()[clean..]);
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) -> &mut Self {
        self.open_list();
        for text in texts {
            self.text(text.as_ref());
        }
        self.close_list()
    }

    /// Literal JSON.
    pub(super) fn raw(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.out.extend_from_slice(b"\\\""),
            b'\\' => self.out.extend_from_slice(b"\\\\"),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            control => self.out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
    }

    /// A comma, if the text ends with a value. Values end only with these bytes.
    fn separate(&mut self) {
        let after_value = |last: &u8| matches!(last, b'"' | b'}' | b']') || last.is_ascii_alphanumeric();
        if self.out.last().is_some_and(after_value) {
            self.out.push(b',');
        }
    }
}

fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}
