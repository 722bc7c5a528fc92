//! Redacts the app token in answers: a server or proxy that echoes it must not put it into logs, recordings or topics.

use bytes::Bytes;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

/// The minimum length of a token. Shorter values are not tokens of the API (which have 25 letters), and redacting a common
/// word in every answer would damage the catalog.
const MIN_LENGTH: usize = 12;
const REPLACEMENT: &[u8] = b"***";
/// The minimum length of a token's prefix that is redacted at the end of a truncated answer.
const MIN_PREFIX: usize = 8;

/// Redacts a token.
#[derive(Clone)]
pub(crate) struct Redactor(Option<SecretString>);

impl Redactor {
    /// A redactor of this token; of nothing without a token.
    pub(crate) fn new(token: Option<&SecretString>) -> Self {
        Self(token.filter(|token| token.expose_secret().len() >= MIN_LENGTH).cloned())
    }

    /// Redacts the token. Returns the same bytes without a copy if it is not among them.
    pub(crate) fn redact(&self, bytes: Bytes) -> Bytes {
        let Some(token) = &self.0 else { return bytes };
        let token = token.expose_secret().as_bytes();
        let mut redacted = Vec::new();
        let mut rest = 0;
        for at in memmem::find_iter(&bytes, token) {
            redacted.extend_from_slice(&bytes[rest..at]);
            redacted.extend_from_slice(REPLACEMENT);
            rest = at + token.len();
        }
        let prefix =
            (MIN_PREFIX..token.len()).rev().find(|length| bytes[rest..].ends_with(&token[..*length]));
        if rest == 0 && prefix.is_none() {
            return bytes;
        }
        redacted.extend_from_slice(&bytes[rest..bytes.len() - prefix.unwrap_or(0)]);
        if prefix.is_some() {
            redacted.extend_from_slice(REPLACEMENT);
        }
        redacted.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(token: &str, text: &'static str) -> Bytes {
        Redactor::new(Some(&SecretString::from(token))).redact(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn every_occurrence_of_the_token_is_redacted() {
        let redacted = redact("abcdefghijklm", "no abcdefghijklm, abcdefghijklm");
        assert_eq!(redacted, "no ***, ***");
        assert_eq!(redact("abcdefghijklm", "abcdefghijkl is another"), "abcdefghijkl is another");
    }

    #[test]
    fn a_truncated_token_is_redacted_too() {
        assert_eq!(redact("abcdefghijklm", "abcdefghijklm, abcdefghijkl"), "***, ***");
        assert_eq!(redact("abcdefghijklm", "no abcdefgh"), "no ***");
        assert_eq!(redact("abcdefghijklm", "no abcdefg"), "no abcdefg");
    }

    #[test]
    fn a_word_is_not_a_token() {
        assert_eq!(redact("data", r#"{"data":1}"#), r#"{"data":1}"#);
    }
}
