//! Byte-order marks.

/// U+FEFF in UTF-8, which some servers send before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text without its byte-order mark.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mark_at_the_start_is_skipped() {
        assert_eq!(without_bom("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(without_bom("{\u{feff}}".as_bytes()), "{\u{feff}}".as_bytes());
        assert_eq!(without_bom(b"\xef\xbb"), b"\xef\xbb");
    }
}
