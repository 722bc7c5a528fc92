//! Exit codes, and the rendering of a program's error.

use std::process::ExitCode;

use crate::answer::{self, Answered};
use crate::shutdown;
use crate::telemetry::Log;

pub use crate::stop::Stop;

pub(crate) const FAILED: u8 = 1;
const USAGE: u8 = 2;
const GUARD: u8 = 3;

/// Renders a program's error and returns its exit code. The error is the last line of the log, in the log's format. If a
/// command with JSON output failed before its output, an object with the member `error` is printed.
#[must_use]
pub fn report(result: anyhow::Result<()>, json: bool, log: &Log) -> ExitCode {
    let Err(error) = result else {
        log.end(None);
        return ExitCode::SUCCESS;
    };
    let answered = error.downcast_ref::<Answered>().map(|Answered(error)| error);
    if json && answered.is_none() {
        // If this fails, the error is still the last line of the log.
        let _ = answer::print_error(&error);
    }
    let error = answered.unwrap_or(&error);
    let code = code(error);
    log.end(Some((&format!("{error:#}"), code)));
    ExitCode::from(code)
}

fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Stop>() {
        Some(Stop::Usage(_)) => USAGE,
        Some(Stop::Guard(_)) => GUARD,
        Some(Stop::Interrupted(_)) => shutdown::exit_code(),
        Some(Stop::Status { code, .. }) => *code,
        None => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_keeps_its_exit_code_with_context() {
        let exit_code = |stop: Stop| code(&Err::<(), _>(stop).context("can't crawl").unwrap_err());
        assert_eq!(
            (exit_code(Stop::Usage(String::new())), exit_code(Stop::Guard(String::new()))),
            (USAGE, GUARD)
        );
        assert_eq!(code(&anyhow::anyhow!("broken")), FAILED);
    }
}
