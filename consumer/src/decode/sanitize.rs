//! Replaces what JSON allows and PostgreSQL refuses: NUL, lone surrogates, numbers outside the range of `numeric`, and
//! very deep nesting.

use std::borrow::Cow;

use memchr::memchr2;

use crate::decode::number::fits_numeric;

/// The maximum nesting depth of arrays and objects. Deeper values become null. PostgreSQL's own limit depends on its
/// stack; this one is a usual default of JSON libraries.
const DEPTH: usize = 128;

/// JSON text that PostgreSQL accepts: an escaped NUL or lone surrogate becomes U+FFFD, and a number out of range or a value
/// that is nested too deeply becomes null. Borrowed if nothing was sanitized. `depth` is the number of levels that enclose
/// the text. Text that is not JSON is still not JSON afterwards.
pub(crate) fn sanitize_json(text: &str, depth: usize) -> Cow<'_, str> {
    let mut sanitizer = Sanitizer { text, sanitized: String::new(), kept: 0 };
    let (mut at, mut depth) = (0, depth);
    while let Some(byte) = text.as_bytes().get(at) {
        at = match byte {
            b'"' => sanitizer.string(at),
            b'-' | b'0'..=b'9' => sanitizer.number(at),
            b'{' | b'[' if depth >= DEPTH => {
                sanitizer.replace(at, end_of_nested(text.as_bytes(), at), "null")
            }
            b'{' | b'[' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => at + 1,
        };
    }
    sanitizer.finish()
}

/// A text that is sanitized up to offset `kept`.
struct Sanitizer<'a> {
    text: &'a str,
    sanitized: String,
    kept: usize,
}

impl<'a> Sanitizer<'a> {
    /// Sanitizes a string that begins at a quote. Returns its end.
    fn string(&mut self, quote: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = quote + 1;
        while let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) {
            let found = at + found;
            if bytes[found] == b'"' {
                return found + 1;
            }
            let (length, refused) = measure(&bytes[found..]);
            let end = (found + length).min(bytes.len());
            at = if refused { self.replace(found, end, "\\ufffd") } else { end };
        }
        bytes.len()
    }

    fn number(&mut self, begin: usize) -> usize {
        let bytes = &self.text.as_bytes()[begin..];
        let is_end = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let end = begin + bytes.iter().position(is_end).unwrap_or(bytes.len());
        if fits_numeric(&self.text[begin..end]) { end } else { self.replace(begin, end, "null") }
    }

    fn replace(&mut self, begin: usize, end: usize, by: &str) -> usize {
        self.sanitized.push_str(&self.text[self.kept..begin]);
        self.sanitized.push_str(by);
        self.kept = end;
        end
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.kept == 0 {
            return Cow::Borrowed(self.text);
        }
        self.sanitized.push_str(&self.text[self.kept..]);
        Cow::Owned(self.sanitized)
    }
}

/// The end of an array or object that begins at a bracket.
fn end_of_nested(bytes: &[u8], begin: usize) -> usize {
    let (mut at, mut depth) = (begin, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Text with each NUL replaced by U+FFFD.
pub(crate) fn sanitize_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The length of the escape at the beginning, where a surrogate pair is one escape, and whether PostgreSQL refuses its
/// character.
fn measure(bytes: &[u8]) -> (usize, bool) {
    const UNIT: usize = "\\u0000".len();
    match code_unit(bytes) {
        None => (2, false),
        Some(0) => (UNIT, true),
        Some(0xd800..0xdc00) => match bytes.get(UNIT..).and_then(code_unit) {
            Some(0xdc00..0xe000) => (2 * UNIT, false),
            _ => (UNIT, true),
        },
        Some(0xdc00..0xe000) => (UNIT, true),
        Some(_) => (UNIT, false),
    }
}

/// The UTF-16 code unit of a `\uXXXX`.
fn code_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    // The parser would also accept a sign.
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_postgres_refuses_is_replaced_and_the_rest_is_kept() {
        for (text, sanitized) in [
            (r#""a\u0000b""#, r#""a\ufffdb""#),
            (r#""\ud800""#, r#""\ufffd""#),
            (r#""\uDC00\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""é\u0000""#, r#""é\ufffd""#),
        ] {
            assert_eq!(sanitize_json(text, 0), sanitized, "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_null_and_names_that_look_like_them_are_kept() {
        let text = r#"{"1e200000":[1e200000,1.5,-1e-99999],"a":"\"1e200000","b":1e200000}"#;
        assert_eq!(sanitize_json(text, 0), r#"{"1e200000":[null,1.5,null],"a":"\"1e200000","b":null}"#);
    }

    #[test]
    fn values_that_are_nested_too_deeply_are_null() {
        let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(matches!(sanitize_json(&nested(128, "1"), 0), Cow::Borrowed(_)));
        assert_eq!(sanitize_json(&nested(128, r#"{"a]\"}":[]},1"#), 0), nested(128, "null,1"));
        assert_eq!(sanitize_json("[[1],[2]]", 127), "[null,null]");
    }

    #[test]
    fn text_that_is_not_json_stays_invalid_and_causes_no_panic() {
        for text in ["\"", "\"\\", "\"\\u00", "]]]}", "-", "1e", "{\"a\":\"\\ud800"] {
            assert!(
                serde_json::from_str::<&serde_json::value::RawValue>(&sanitize_json(text, 0)).is_err(),
                "{text}"
            );
        }
        let open = "[".repeat(1000);
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(&sanitize_json(&open, 0)).is_err());
    }

    #[test]
    fn text_that_needs_no_change_is_borrowed() {
        for text in [r#""plain""#, r#""\ud83d\ude00 \u00e9 \n""#, r#""\\u0000""#, r#""\\\\ud800""#] {
            assert!(matches!(sanitize_json(text, 0), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!(sanitize_text("a\0b"), "a\u{fffd}b");
    }
}
