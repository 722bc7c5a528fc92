//! Exit codes, and the one place that renders a program's error. The README has the table.

use std::process::ExitCode;

use crate::answer::{self, Answered};
use crate::shutdown;
use crate::telemetry::Log;

pub use crate::stop::Stop;

pub(crate) const FAILED: u8 = 1;
const USAGE: u8 = 2;
const GUARD: u8 = 3;

/// Renders a program's error and gives its exit code. The error is the last line of the log, in the log's own
/// format. Where the command was to answer in JSON and failed before it could, the answer is an object with the
/// member `error`.
#[must_use]
pub fn report(result: anyhow::Result<()>, json: bool, log: &Log) -> ExitCode {
    let Err(error) = result else {
        log.end(None);
        return ExitCode::SUCCESS;
    };
    let answered = error.downcast_ref::<Answered>().map(|Answered(error)| error);
    if json && answered.is_none() {
        // What goes wrong with it can only be logged, and the log ends with the error in any case.
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
        None => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn each_end_has_its_code_whatever_was_said_about_it() {
        let told = |stop: Stop| code(&Err::<(), _>(stop).context("can't crawl").unwrap_err());
        assert_eq!((told(Stop::Usage(String::new())), told(Stop::Guard(String::new()))), (USAGE, GUARD));
        assert_eq!(code(&anyhow::anyhow!("broken")), FAILED);
    }
}
