//! What a command answers, on standard output.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use thiserror::Error;

/// Prints an answer: the object as JSON on one line, or the text for people. A reader that has gone (`| head`) has
/// read enough, so that is no error; the exit code then still says how the command's work ended.
///
/// # Errors
/// When standard output can't be written, such as to a full disk.
pub fn print(json: bool, object: &impl Serialize, text: impl Display) -> io::Result<()> {
    let answer = if json { serde_json::to_string(object)? } else { text.to_string() };
    write(answer.trim_end())
}

/// An error that the answer on standard output contains already.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Answered(pub anyhow::Error);

/// Prints the answer of a command that failed: as [`print`], and the JSON object has the error as its member
/// `error`. Returns the error to end with.
pub fn print_failure(
    json: bool,
    object: &impl Serialize,
    text: impl Display,
    error: anyhow::Error,
) -> anyhow::Error {
    #[derive(Serialize)]
    struct Failure<'a, T> {
        #[serde(flatten)]
        answer: &'a T,
        error: String,
    }
    let failure = Failure { answer: object, error: format!("{error:#}") };
    match print(json, &failure, text) {
        Ok(()) => Answered(error).into(),
        // The failure itself is more important than that the answer could not be printed.
        Err(_) => error,
    }
}

/// Prints the answer of a command that has nothing but an error to answer with.
pub(crate) fn print_error(error: &anyhow::Error) -> io::Result<()> {
    write(&serde_json::json!({ "error": format!("{error:#}") }).to_string())
}

fn write(answer: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{answer}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("can't write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
