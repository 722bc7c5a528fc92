//! Answers that are no JSON, read by their strings and brackets alone.
//!
//! One byte that is no UTF-8, a raw control character or a `NaN` makes a whole page unreadable for a JSON parser.
//! The objects of such a page can still be told apart, because such a flaw changes neither strings nor brackets.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::api::fast_parse::Texts;

/// How much of a token goes into a message, in bytes.
const SHOWN: usize = 20;

/// Where the elements of `results` are. None where strings and brackets don't match, or there is no such list.
pub(crate) fn results(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut scan = Scanner::new(body);
    let mut found = None;
    let is_whole = scan.members(|scan, name, first| {
        if name != "results" {
            return scan.rest_of(&first).map(drop);
        }
        // Nobody can tell which of two lists is meant.
        found.replace(scan.list(&first)?).is_none().then_some(())
    });
    is_whole?;
    scan.bytes[scan.at..].trim_ascii().is_empty().then_some(found)?
}

/// The texts that are wanted of an object, as far as they can be read.
pub(crate) fn texts(object: &[u8]) -> Texts<'_> {
    let mut texts = Texts::default();
    // Where the object stops to make sense, what was found before counts.
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

/// Why an object is no JSON, with the rule that it breaks; none where it is JSON.
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
    let odd = std::iter::from_fn(|| scan.next()).find_map(|token| odd(&object[token.place.clone()], &token));
    Some(odd.unwrap_or_else(|| format!("not JSON: {error} (RFC 8259)")))
}

/// What is wrong with a token by itself.
fn odd(bytes: &[u8], token: &Token) -> Option<String> {
    match token.kind {
        Mark::Text => bytes.iter().find(|byte| **byte < 0x20).map(|byte| {
            format!("not JSON: a raw control character U+{byte:04X} in a string (RFC 8259, section 7)")
        }),
        Mark::Other if serde_json::from_slice::<IgnoredAny>(bytes).is_err() => {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
            Some(format!("not JSON: {shown} is not a value (RFC 8259, section 3)"))
        }
        _ => None,
    }
}

/// What a scanner sees that knows only strings and brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Open(u8),
    Close(u8),
    Colon,
    Comma,
    Text,
    /// Numbers, names of values, and whatever else is neither of the above.
    Other,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Mark,
    place: Range<usize>,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the last token was.
    last: Option<Mark>,
}

impl<'a> Scanner<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, last: None }
    }

    /// The next token. None at the end, for a string that doesn't end, and for one with something other than
    /// punctuation next to it. There a quote is missing or one too many: what looks like a string is none, and the
    /// brackets after it may match by accident, several objects further on.
    fn next(&mut self) -> Option<Token> {
        let white = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start = self.at + white;
        let first = *self.bytes.get(start)?;
        let (kind, length) = match first {
            b'{' | b'[' => (Mark::Open(first), 1),
            b'}' | b']' => (Mark::Close(first), 1),
            b':' => (Mark::Colon, 1),
            b',' => (Mark::Comma, 1),
            b'"' => (Mark::Text, length_of_string(&self.bytes[start..])?),
            _ => (Mark::Other, self.bytes[start..].iter().take_while(|byte| !is_mark(**byte)).count()),
        };
        let is_torn = match self.last {
            Some(Mark::Text) => matches!(kind, Mark::Text | Mark::Other | Mark::Open(_)),
            Some(Mark::Other | Mark::Close(_)) => kind == Mark::Text,
            _ => false,
        };
        (self.at, self.last) = (start + length, Some(kind));
        (!is_torn).then_some(Token { kind, place: start..self.at })
    }

    /// Calls `visit` for each member of the object that comes next, with its name and the first token of its
    /// value, which `visit` has to go past.
    fn members(&mut self, mut visit: impl FnMut(&mut Self, &str, Token) -> Option<()>) -> Option<()> {
        (self.next()?.kind == Mark::Open(b'{')).then_some(())?;
        loop {
            let token = self.next()?;
            match token.kind {
                Mark::Close(b'}') => return Some(()),
                Mark::Comma => continue,
                Mark::Text => {}
                _ => return None,
            }
            let name = self.text(&token).unwrap_or_default();
            (self.next()?.kind == Mark::Colon).then_some(())?;
            let first = self.next()?;
            visit(self, &name, first)?;
            self.skip_to_next_member()?;
        }
    }

    /// Goes past what follows a value that is not one token, such as `1 2`, up to the next comma or end.
    fn skip_to_next_member(&mut self) -> Option<()> {
        loop {
            let before = (self.at, self.last);
            let token = self.next()?;
            match token.kind {
                Mark::Comma | Mark::Close(_) => {
                    (self.at, self.last) = before;
                    return Some(());
                }
                _ => drop(self.rest_of(&token)?),
            }
        }
    }

    /// Calls `visit` with the name and the text of each member of an object whose first token was read.
    fn members_of(&mut self, first: &Token, mut visit: impl FnMut(&str, Option<Cow<'a, str>>)) -> Option<()> {
        if first.kind != Mark::Open(b'{') {
            return self.rest_of(first).map(drop);
        }
        (self.at, self.last) = (first.place.start, Some(Mark::Colon));
        self.members(|scan, name, first| {
            visit(name, scan.text(&first));
            scan.rest_of(&first).map(drop)
        })
    }

    /// Goes past a value whose first token was read, and says where it ends. None where brackets don't match.
    fn rest_of(&mut self, first: &Token) -> Option<usize> {
        let mut open = Vec::new();
        let mut kind = first.kind;
        loop {
            match kind {
                Mark::Open(bracket) => open.push(bracket),
                // The closing brackets are two behind the opening ones in ASCII.
                Mark::Close(bracket) => (open.pop()? + 2 == bracket).then_some(())?,
                _ => {}
            }
            if open.is_empty() {
                return Some(self.at);
            }
            kind = self.next()?.kind;
        }
    }

    /// Where the elements of a list are whose first token was read.
    fn list(&mut self, first: &Token) -> Option<Vec<Range<usize>>> {
        (first.kind == Mark::Open(b'[')).then_some(())?;
        let mut found = Vec::new();
        loop {
            let token = self.next()?;
            match token.kind {
                Mark::Close(b']') => return Some(found),
                Mark::Comma => {}
                _ => found.push(token.place.start..self.rest_of(&token)?),
            }
        }
    }

    /// The text of a string that is one by itself. A name with a flaw in it is none: it would be a guess.
    fn text(&self, token: &Token) -> Option<Cow<'a, str>> {
        let text = str::from_utf8(&self.bytes[token.place.clone()]).ok()?;
        serde_json::from_str::<String>(text).ok().map(Cow::Owned)
    }
}

fn is_mark(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"')
}

/// The length of a string with its quotes; none where it doesn't end.
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
