//! Takes the app token out of what the API sends back: a server or a proxy that quotes what it was sent
//! must not bring it into logs, cassettes or topics.

use bytes::Bytes;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

/// Shorter ones are left alone: they are no tokens of the API's (which have 25 letters), and taking a
/// common word out of every answer would harm the catalog.
const SHORTEST: usize = 12;
const HIDDEN: &[u8] = b"***";
/// How much of a token's beginning is hidden where an answer breaks off in the midst of it.
const BEGINNING: usize = 8;

/// What has to be hidden.
#[derive(Clone)]
pub(crate) struct Redactor(Option<SecretString>);

impl Redactor {
    /// Hides this token wherever it is told to.
    pub(crate) fn new(token: Option<&SecretString>) -> Self {
        Self(token.filter(|token| token.expose_secret().len() >= SHORTEST).cloned())
    }

    /// The same bytes, without a copy, unless the token is among them.
    pub(crate) fn hide(&self, bytes: Bytes) -> Bytes {
        let Some(token) = &self.0 else { return bytes };
        let token = token.expose_secret().as_bytes();
        let mut hidden = Vec::new();
        let mut rest = 0;
        for at in memmem::find_iter(&bytes, token) {
            hidden.extend_from_slice(&bytes[rest..at]);
            hidden.extend_from_slice(HIDDEN);
            rest = at + token.len();
        }
        let begun = (BEGINNING..token.len()).rev().find(|length| bytes[rest..].ends_with(&token[..*length]));
        if rest == 0 && begun.is_none() {
            return bytes;
        }
        hidden.extend_from_slice(&bytes[rest..bytes.len() - begun.unwrap_or(0)]);
        if begun.is_some() {
            hidden.extend_from_slice(HIDDEN);
        }
        hidden.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(token: &str, text: &'static str) -> Bytes {
        Redactor::new(Some(&SecretString::from(token))).hide(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_token_that_is_quoted_is_hidden_each_time() {
        let hidden = hide("abcdefghijklm", "no abcdefghijklm, abcdefghijklm");
        assert_eq!(hidden, "no ***, ***");
        assert_eq!(hide("abcdefghijklm", "abcdefghijkl is another"), "abcdefghijkl is another");
    }

    #[test]
    fn a_token_that_an_answer_breaks_off_in_is_hidden_too() {
        assert_eq!(hide("abcdefghijklm", "abcdefghijklm, abcdefghijkl"), "***, ***");
        assert_eq!(hide("abcdefghijklm", "no abcdefgh"), "no ***");
        assert_eq!(hide("abcdefghijklm", "no abcdefg"), "no abcdefg");
    }

    #[test]
    fn a_word_is_no_token() {
        assert_eq!(hide("data", r#"{"data":1}"#), r#"{"data":1}"#);
    }
}
