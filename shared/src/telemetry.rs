//! Logs: human text on a terminal, JSON otherwise, always to standard error.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::exit::Stop;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error at the level of `RUST_LOG` (default `info`).
///
/// # Errors
/// [`Stop::Usage`] for a `RUST_LOG` that can't be read.
pub fn start(format: LogFormat) -> Result<(), Stop> {
    start_on(format, io::stderr)
}

/// As [`start`], with lines that go through a writer of the caller's on their way to standard error.
///
/// # Errors
/// As [`start`].
pub fn start_on<W>(format: LogFormat, writer: W) -> Result<(), Stop>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let terminal = io::stderr().is_terminal();
    let filter = filter(env::var_os("RUST_LOG").as_deref())?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let text = format == LogFormat::Text || (format == LogFormat::Auto && terminal);
    if text {
        lines.with_ansi(terminal).with_target(false).compact().init();
    } else {
        lines.json().flatten_event(true).init();
    }
    Ok(())
}

/// What is logged, by the text of `RUST_LOG`.
fn filter(text: Option<&OsStr>) -> Result<EnvFilter, Stop> {
    let refused = |reason: String| {
        Stop::Usage(format!(
            "RUST_LOG takes levels such as `debug` or `info,catalog_producer=debug`: {reason}"
        ))
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(EnvFilter::new("info")) };
    let text = text.to_str().ok_or_else(|| refused("it is no text".to_owned()))?;
    EnvFilter::try_new(text).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_or_refused() {
        let read = |text: &str| filter(Some(OsStr::new(text))).map(|filter| filter.to_string());
        assert_eq!(read("debug").unwrap(), "debug");
        assert_eq!((read("").unwrap(), filter(None).unwrap().to_string()), ("info".into(), "info".into()));
        for text in ["catalog_producer=loud", "info,=", "a=b=c"] {
            assert!(matches!(read(text), Err(Stop::Usage(told)) if told.starts_with("RUST_LOG")), "{text}");
        }
    }
}
