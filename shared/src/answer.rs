//! What a command answers, on standard output.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

/// Prints an answer: the object as JSON on one line, or the text for people.
///
/// # Errors
/// When standard output takes no more.
pub fn print(json: bool, object: &impl Serialize, text: impl Display) -> io::Result<()> {
    let answer = if json { serde_json::to_string(object)? } else { text.to_string() };
    writeln!(io::stdout(), "{}", answer.trim_end())
}
