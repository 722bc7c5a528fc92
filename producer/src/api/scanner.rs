//! Scans answers that are not valid JSON by their strings and brackets.
//!
//! One byte that is not UTF-8, a raw control character or a `NaN` makes a whole page unreadable for a JSON parser. The
//! objects of such a page can still be separated, because such a flaw changes neither strings nor brackets.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::api::texts::Texts;

/// How much of a token is quoted in a message, in bytes.
const EXCERPT: usize = 20;

/// The byte ranges of the elements of `results`. `None` if strings and brackets don't match or there is no such list.
pub(crate) fn results(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut scan = Scanner::new(body);
    let mut found = None;
    let is_complete = scan.members(|scan, name, first| {
        if name != "results" {
            return scan.rest_of(&first).map(drop);
        }
        // With two lists it is ambiguous which one is valid.
        found.replace(scan.list(&first)?).is_none().then_some(())
    });
    is_complete?;
    scan.bytes[scan.at..].trim_ascii().is_empty().then_some(found)?
}

/// The strings that are needed of an object, as far as they are readable.
pub(crate) fn texts(object: &[u8]) -> Texts<'_> {
    let mut texts = Texts::default();
    // Strings before a syntax error count.
    let _ = Scanner::new(object).members(|scan, name, first| match name {
        "resource" => scan.members_of(&first, |name, value| match name {
            "id" => texts.id = value,
            "attribution" => texts.attribution = value,
            "updatedAt" => texts.updated_at = value,
            _ => {}
        }),
        "metadata" => scan.members_of(&first, |name, value| {
            if name == "domain" {
                texts.domain = value;
            }
        }),
        "permalink" => {
            texts.permalink = scan.text(&first);
            scan.rest_of(&first).map(drop)
        }
        _ => scan.rest_of(&first).map(drop),
    });
    texts
}

/// Why an object is not valid JSON, with the violated rule; `None` if it is valid.
pub(crate) fn flaw(object: &[u8]) -> Option<String> {
    let text = match str::from_utf8(object) {
        Ok(text) => text,
        Err(error) => {
            let byte = object.get(error.valid_up_to()).copied().unwrap_or_default();
            return Some(format!("not JSON: the byte 0x{byte:02X} is not UTF-8 (RFC 8259, section 8.1)"));
        }
    };
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    let mut scan = Scanner::new(object);
    let invalid =
        std::iter::from_fn(|| scan.next()).find_map(|token| flaw_of(&object[token.range.clone()], &token));
    Some(invalid.unwrap_or_else(|| format!("not JSON: {error} (RFC 8259)")))
}

/// Why a single token is invalid.
fn flaw_of(bytes: &[u8], token: &Token) -> Option<String> {
    match token.kind {
        TokenKind::Text => bytes.iter().find(|byte| **byte < 0x20).map(|byte| {
            format!("not JSON: a raw control character U+{byte:04X} in a string (RFC 8259, section 7)")
        }),
        TokenKind::Other if serde_json::from_slice::<IgnoredAny>(bytes).is_err() => {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]);
            Some(format!("not JSON: {shown} is not a value (RFC 8259, section 3)"))
        }
        _ => None,
    }
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenKind {
    Open(u8),
    Close(u8),
    Colon,
    Comma,
    Text,
    /// Numbers, literals, and anything else.
    Other,
}

#[derive(Clone, Debug)]
struct Token {
    kind: TokenKind,
    range: Range<usize>,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The kind of the last token.
    last: Option<TokenKind>,
}

impl<'a> Scanner<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, last: None }
    }

    /// The next token. None at the end, for an unterminated string, and for a string without punctuation next to it.
    /// There a quote is missing or superfluous, so that brackets after it may match by accident several objects later.
    fn next(&mut self) -> Option<Token> {
        let white_space = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start = self.at + white_space;
        let first = *self.bytes.get(start)?;
        let (kind, length) = match first {
            b'{' | b'[' => (TokenKind::Open(first), 1),
            b'}' | b']' => (TokenKind::Close(first), 1),
            b':' => (TokenKind::Colon, 1),
            b',' => (TokenKind::Comma, 1),
            b'"' => (TokenKind::Text, length_of_string(&self.bytes[start..])?),
            _ => (
                TokenKind::Other,
                self.bytes[start..].iter().take_while(|byte| !is_delimiter(**byte)).count(),
            ),
        };
        let is_torn = match self.last {
            Some(TokenKind::Text) => matches!(kind, TokenKind::Text | TokenKind::Other | TokenKind::Open(_)),
            Some(TokenKind::Other | TokenKind::Close(_)) => kind == TokenKind::Text,
            _ => false,
        };
        (self.at, self.last) = (start + length, Some(kind));
        (!is_torn).then_some(Token { kind, range: start..self.at })
    }

    /// Calls `visit` for each member of the next object, with its name and the first token of its value. `visit` must
    /// consume the rest of the value.
    fn members(&mut self, mut visit: impl FnMut(&mut Self, &str, Token) -> Option<()>) -> Option<()> {
        (self.next()?.kind == TokenKind::Open(b'{')).then_some(())?;
        loop {
            let token = self.next()?;
            match token.kind {
                TokenKind::Close(b'}') => return Some(()),
                TokenKind::Comma => continue,
                TokenKind::Text => {}
                _ => return None,
            }
            let name = self.text(&token).unwrap_or_default();
            (self.next()?.kind == TokenKind::Colon).then_some(())?;
            let first = self.next()?;
            visit(self, &name, first)?;
            self.skip_to_next_member()?;
        }
    }

    /// Skips surplus tokens after a value, such as the 2 in `1 2`, up to the next comma or end.
    fn skip_to_next_member(&mut self) -> Option<()> {
        loop {
            let before = (self.at, self.last);
            let token = self.next()?;
            match token.kind {
                TokenKind::Comma | TokenKind::Close(_) => {
                    (self.at, self.last) = before;
                    return Some(());
                }
                _ => drop(self.rest_of(&token)?),
            }
        }
    }

    /// Calls `visit` with the name and the string of each member of an object whose first token was consumed.
    fn members_of(&mut self, first: &Token, mut visit: impl FnMut(&str, Option<Cow<'a, str>>)) -> Option<()> {
        if first.kind != TokenKind::Open(b'{') {
            return self.rest_of(first).map(drop);
        }
        (self.at, self.last) = (first.range.start, Some(TokenKind::Colon));
        self.members(|scan, name, first| {
            visit(name, scan.text(&first));
            scan.rest_of(&first).map(drop)
        })
    }

    /// Skips a value whose first token was consumed, and returns its end. `None` if brackets don't match.
    fn rest_of(&mut self, first: &Token) -> Option<usize> {
        let mut open = Vec::new();
        let mut kind = first.kind;
        loop {
            match kind {
                TokenKind::Open(bracket) => open.push(bracket),
                // In ASCII, closing brackets are two after the opening ones.
                TokenKind::Close(bracket) => (open.pop()? + 2 == bracket).then_some(())?,
                _ => {}
            }
            if open.is_empty() {
                return Some(self.at);
            }
            kind = self.next()?.kind;
        }
    }

    /// The ranges of the elements of a list whose first token was consumed.
    fn list(&mut self, first: &Token) -> Option<Vec<Range<usize>>> {
        (first.kind == TokenKind::Open(b'[')).then_some(())?;
        let mut found = Vec::new();
        loop {
            let token = self.next()?;
            match token.kind {
                TokenKind::Close(b']') => return Some(found),
                TokenKind::Comma => {}
                _ => found.push(token.range.start..self.rest_of(&token)?),
            }
        }
    }

    /// The text of a token that is a valid string. An invalid one is not repaired, because that would be a guess.
    fn text(&self, token: &Token) -> Option<Cow<'a, str>> {
        let text = str::from_utf8(&self.bytes[token.range.clone()]).ok()?;
        serde_json::from_str::<String>(text).ok().map(Cow::Owned)
    }
}

fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"')
}

/// The length of a string with its quotes; `None` if it is unterminated.
fn length_of_string(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests;
