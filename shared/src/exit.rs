//! Exit codes, and the one place that renders a program's error.

use std::process::ExitCode;

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
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const GUARD: u8 = 3;

/// Renders a program's error on standard error and gives its exit code: 0 done, 1 failed, 2 usage,
/// 3 stopped by a guard.
#[must_use]
#[expect(clippy::print_stderr, reason = "the last word of a program goes to people, whatever the log format")]
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    ExitCode::from(match error.downcast_ref::<Stop>() {
        Some(Stop::Usage(_)) => USAGE,
        Some(Stop::Guard(_)) => GUARD,
        None => FAILED,
    })
}
