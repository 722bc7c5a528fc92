//! The errors of a program that have their own exit code.

use thiserror::Error;

/// An error with its own exit code. All other errors exit with 1.
#[derive(Debug, Error)]
pub enum Stop {
    /// The command line or configuration is invalid (exit 2).
    #[error("{0}")]
    Usage(String),
    /// A guard stopped the program before it could do damage (exit 3).
    #[error("{0}")]
    Guard(String),
    /// A signal interrupted the work (exit 130 after SIGINT, 143 after SIGTERM). The text describes the state of the work.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// The result of a command with exit codes of its own, such as `check`.
    #[error("{text}")]
    Status {
        /// The exit code.
        code: u8,
        /// The result in a few words.
        text: String,
    },
}
