//! Text that JSON allows and PostgreSQL refuses: NUL, and surrogates that stand alone.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// JSON text with each escaped NUL or lone surrogate replaced by U+FFFD; borrowed where nothing was.
pub(crate) fn mend_json(text: &str, _depth: usize) -> Cow<'_, str> {
    if memmem::find(text.as_bytes(), b"\\u").is_none() {
        return Cow::Borrowed(text);
    }
    let mut mended = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = memchr(b'\\', &text.as_bytes()[at..]) {
        let escape = at + found;
        let (length, refused) = measure(&text.as_bytes()[escape..]);
        if refused {
            mended.push_str(&text[kept..escape]);
            mended.push_str("\\ufffd");
            kept = escape + length;
        }
        at = (escape + length).min(text.len());
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[kept..]);
    Cow::Owned(mended)
}

/// Text with each NUL replaced by U+FFFD.
pub(crate) fn mend_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The length of the escape at the beginning, a pair of surrogates as one, and whether PostgreSQL
/// refuses what it stands for.
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
    // A sign, which the parser would take, is no digit.
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgres_refuses_is_replaced_and_the_rest_is_kept() {
        for (text, mended) in [
            (r#""a\u0000b""#, r#""a\ufffdb""#),
            (r#""\ud800""#, r#""\ufffd""#),
            (r#""\uDC00\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""é\u0000""#, r#""é\ufffd""#),
        ] {
            assert_eq!(mend_json(text, 0), mended, "{text}");
        }
    }

    #[test]
    fn text_without_trouble_is_borrowed() {
        for text in [r#""plain""#, r#""\ud83d\ude00 \u00e9 \n""#, r#""\\u0000""#, r#""\\\\ud800""#] {
            assert!(matches!(mend_json(text, 0), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!(mend_text("a\0b"), "a\u{fffd}b");
    }
}
