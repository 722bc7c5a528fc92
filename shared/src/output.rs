//! The output of a command on standard output.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use thiserror::Error;

/// Prints an object as one line of JSON, or as text. A closed pipe (`| head`) is not an error; the exit code still shows how
/// the command ended.
///
/// # Errors
/// If standard output can't be written, for example because the disk is full.
pub fn print(json: bool, object: &impl Serialize, text: impl Display) -> io::Result<()> {
    let answer = if json { serde_json::to_string(object)? } else { text.to_string() };
    write(answer.trim_end())
}

/// An error that the output already contains.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct AlreadyPrinted(pub anyhow::Error);

/// The error without the note that the output contains it.
pub(crate) fn cause(error: &anyhow::Error) -> &anyhow::Error {
    error.downcast_ref::<AlreadyPrinted>().map_or(error, |AlreadyPrinted(error)| error)
}

/// Prints the output of a failed command: as [`print`], with the error as the member `error` of the JSON object. Returns the
/// error to end with.
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
        Ok(()) => AlreadyPrinted(error).into(),
        // The failure itself is more important than the failed output.
        Err(_) => error,
    }
}

/// Prints the output of a command that has only an error.
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
