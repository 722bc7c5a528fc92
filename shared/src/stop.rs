//! Ends of a program that have an exit code of their own.

use thiserror::Error;

/// An end that has an exit code of its own; any other error is a failure (1).
#[derive(Debug, Error)]
pub enum Stop {
    /// The command line or configuration asks for what can't be (exit 2).
    #[error("{0}")]
    Usage(String),
    /// A guard stopped the program before it could do harm (exit 3).
    #[error("{0}")]
    Guard(String),
    /// A signal ended the work before it was complete (exit 130 after SIGINT, 143 after SIGTERM). The text says
    /// what became of the work.
    #[error("interrupted: {0}")]
    Interrupted(String),
}
