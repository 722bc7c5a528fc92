//! Reads JSON as tokens and ranges of bytes, so that strings and numbers stay as they are spelled.
//!
//! The text must be JSON. For other texts the tokens have no meaning, but reading ends.

use std::ops::Range;

/// A piece of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{` or `[`.
    Open(u8),
    /// `}` or `]`.
    Close(u8),
    Comma,
    Colon,
    /// A string with its quotes, a number, a boolean or null.
    Scalar(&'a [u8]),
}

/// The tokens of a text from some place on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, without consuming it.
    pub(super) fn peek(mut self) -> Option<Token<'a>> {
        self.next()
    }

    /// The end of the token that starts at the current place, which is not white space.
    fn end(&self) -> usize {
        let rest = &self.text[self.at..];
        let length = match rest.first() {
            Some(b'"') => string_length(rest),
            Some(b'{' | b'[' | b'}' | b']' | b',' | b':') => 1,
            _ => rest.iter().position(|byte| ends_scalar(*byte)).unwrap_or(rest.len()).max(1),
        };
        self.at + length
    }

    /// The range of the next value, which is consumed.
    fn value(&mut self) -> Option<Range<usize>> {
        self.skip_space();
        let (start, mut depth) = (self.at, 0_usize);
        loop {
            match self.next()? {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        let byte = *self.text.get(self.at)?;
        let (start, end) = (self.at, self.end());
        self.at = end;
        Some(match byte {
            b'{' | b'[' => Token::Open(byte),
            b'}' | b']' => Token::Close(byte),
            b',' => Token::Comma,
            b':' => Token::Colon,
            _ => Token::Scalar(&self.text[start..end]),
        })
    }
}

/// The length of the string that starts with a quote, both quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn ends_scalar(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"')
}

/// A member of an object: its name as written, with quotes, and the range of its value in the text.
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Range<usize>,
}

/// The members of the object in this range of the text. `None` if it is not an object.
pub(super) fn members(text: &[u8], object: Range<usize>) -> Vec<Member<'_>> {
    let mut tokens = Tokens { text: &text[..object.end], at: object.start };
    let mut members = Vec::new();
    if tokens.next() != Some(Token::Open(b'{')) {
        return members;
    }
    while let Some(token) = tokens.next() {
        let Token::Scalar(name) = token else { continue };
        if tokens.next() != Some(Token::Colon) {
            break;
        }
        let Some(value) = tokens.value() else { break };
        members.push(Member { name, value });
    }
    members
}

/// The ranges of the elements of the list in this range of the text. `None` if it is not a list.
pub(super) fn elements(text: &[u8], list: Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut tokens = Tokens { text: &text[..list.end], at: list.start };
    if tokens.next() != Some(Token::Open(b'[')) {
        return None;
    }
    let mut elements = Vec::new();
    loop {
        match tokens.peek()? {
            Token::Close(_) => return Some(elements),
            Token::Comma => {
                tokens.next();
            }
            _ => elements.push(tokens.value()?),
        }
    }
}
