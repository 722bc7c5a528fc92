//! The white space of the API's answers, as in recorded ones: two blanks per level, blanks around colons,
//! and short values on one line.
//!
//! ```text
//! {
//!   "results" :
//!     [
//!       { "domain" : "data.example", "count" : 5 }
//!     ],
//!   "resultSetSize" : 1,
//!   "timings" : { "serviceMillis" : 22, "searchMillis" : [ 10, 15 ] }
//! }
//! ```

use super::tokens::{Token, Tokens};

/// The maximum length of a line that contains a whole object or list.
const WIDTH: usize = 80;
/// Deeper values are written on one line, so that neither the stack nor the white space grows with the depth.
const DEEPEST: usize = 100;
const LEVEL: usize = 2;

/// Appends a JSON text with the API's white space. It starts at the current place; the lines that follow are
/// indented by `indent` blanks at least.
pub(super) fn write(text: &[u8], indent: usize, out: &mut Vec<u8>) {
    Printer { tokens: Tokens::new(text), out }.value(indent, indent);
}

struct Printer<'a, 'b> {
    tokens: Tokens<'a>,
    out: &'b mut Vec<u8>,
}

impl Printer<'_, '_> {
    /// Writes the next value, which starts in this column.
    fn value(&mut self, indent: usize, column: usize) {
        match self.tokens.peek() {
            Some(Token::Open(_)) if !self.fits(column) && indent < DEEPEST * LEVEL => self.block(indent),
            _ => self.line(),
        }
    }

    /// Whether the next value ends before the line is too long.
    fn fits(&self, column: usize) -> bool {
        let (mut length, mut depth) = (column, 0_usize);
        for token in self.tokens {
            length += match token {
                Token::Open(_) | Token::Close(_) | Token::Comma => 2,
                Token::Colon => 3,
                Token::Scalar(scalar) => scalar.len(),
            };
            match token {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if length > WIDTH || depth == 0 {
                break;
            }
        }
        length <= WIDTH
    }

    /// Writes the next value on one line.
    fn line(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Open(bracket) => {
                    depth += 1;
                    self.out.push(bracket);
                    if !matches!(self.tokens.peek(), Some(Token::Close(_))) {
                        self.out.push(b' ');
                    }
                }
                Token::Close(bracket) => {
                    depth = depth.saturating_sub(1);
                    if !self.out.ends_with(b"[") && !self.out.ends_with(b"{") {
                        self.out.push(b' ');
                    }
                    self.out.push(bracket);
                }
                Token::Comma => self.out.extend_from_slice(b", "),
                Token::Colon => self.out.extend_from_slice(b" : "),
                Token::Scalar(scalar) => self.out.extend_from_slice(scalar),
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Writes the next value, which is an object or a list, with one element per line.
    fn block(&mut self, indent: usize) {
        let Some(Token::Open(bracket)) = self.tokens.next() else { return };
        self.out.push(bracket);
        let inner = indent + LEVEL;
        self.start_line(inner);
        while let Some(token) = self.tokens.peek() {
            match token {
                Token::Close(bracket) => {
                    self.tokens.next();
                    self.start_line(indent);
                    self.out.push(bracket);
                    return;
                }
                Token::Comma => {
                    self.tokens.next();
                    self.out.push(b',');
                    self.start_line(inner);
                }
                Token::Colon => self.member(inner),
                Token::Open(_) | Token::Scalar(_) => self.value(inner, inner),
            }
        }
    }

    /// Writes a colon and a member's value after its name, on the same line if it fits, otherwise below.
    fn member(&mut self, indent: usize) {
        self.tokens.next();
        self.out.extend_from_slice(b" :");
        let line = self.out.iter().rev().take_while(|byte| **byte != b'\n').count();
        let opens = matches!(self.tokens.peek(), Some(Token::Open(_)));
        if opens && !self.fits(line + 1) {
            self.start_line(indent + LEVEL);
            self.value(indent + LEVEL, indent + LEVEL);
        } else {
            self.out.push(b' ');
            self.line();
        }
    }

    fn start_line(&mut self, indent: usize) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + indent, b' ');
    }
}
