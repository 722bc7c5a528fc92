//! Logs: human text on a terminal, JSON otherwise, always to standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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
pub fn start(format: LogFormat) {
    start_on(format, io::stderr);
}

/// As [`start`], with lines that go through a writer of the caller's on their way to standard error.
pub fn start_on<W>(format: LogFormat, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let terminal = io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let text = format == LogFormat::Text || (format == LogFormat::Auto && terminal);
    if text {
        lines.with_ansi(terminal).with_target(false).compact().init();
    } else {
        lines.json().flatten_event(true).init();
    }
}
