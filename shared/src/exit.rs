//! Exit codes, and the rendering of a program's error.

use std::process::ExitCode;

use crate::output::{self, AlreadyPrinted};
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
    if json && !error.is::<AlreadyPrinted>() {
        // If this fails, the error is still the last line of the log.
        let _ = output::print_error(&error);
    }
    let error = output::cause(&error);
    let code = code(error);
    log.end(Some((&format!("{error:#}"), code)));
    ExitCode::from(code)
}

impl Stop {
    /// Whether an error has its own exit code. Such an error would come again until a person or a signal changes something, so a
    /// retry does not help.
    #[must_use]
    pub fn is_cause_of(error: &anyhow::Error) -> bool {
        output::cause(error).is::<Self>()
    }
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

    #[test]
    fn an_error_with_its_own_exit_code_is_recognized_with_context_and_after_the_output() {
        let stop = || anyhow::Error::from(Stop::Guard("fenced".into()));
        for error in [stop(), stop().context("crawling"), AlreadyPrinted(stop()).into()] {
            assert!(Stop::is_cause_of(&error), "{error:?}");
        }
        let down = || anyhow::anyhow!("the API is down");
        assert!(!Stop::is_cause_of(&down()) && !Stop::is_cause_of(&AlreadyPrinted(down()).into()));
    }
}
