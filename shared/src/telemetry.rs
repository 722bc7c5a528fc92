//! The log on standard error: text on a terminal, JSON otherwise.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing_subscriber::EnvFilter;

use crate::events;
use crate::human;
use crate::log_writer::LogWriter;
use crate::stop::Stop;
use crate::terminal::{self, Terminal};
use crate::text_fields;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The flag of the log, for every command.
#[derive(Args, Clone, Copy, Debug)]
pub struct LogArgs {
    /// Format of the log on standard error
    #[arg(
        long,
        env = "CATALOG_LOG_FORMAT",
        value_enum,
        ignore_case = true,
        default_value = "auto",
        global = true
    )]
    pub log_format: LogFormat,
}

/// The program's log, on standard error.
#[derive(Debug)]
pub struct Log {
    json: bool,
    terminal: Terminal,
    writer: LogWriter,
}

impl Log {
    /// Opens the log. Its lines are written on a separate thread.
    #[must_use]
    pub fn open(format: LogFormat) -> Self {
        let json = match format {
            LogFormat::Auto => !io::stderr().is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        let terminal = Terminal::new(!json);
        let notice = if json { notice_json } else { notice_text };
        let writer = LogWriter::start(terminal.clone(), notice);
        Self { json, terminal, writer }
    }

    /// Starts logging at the level of `RUST_LOG` (default `info`).
    ///
    /// # Errors
    /// [`Stop::Usage`] for an invalid `RUST_LOG`.
    pub fn start(&self) -> Result<(), Stop> {
        let filter = filter(env::var_os("RUST_LOG").as_deref())?;
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(self.writer.clone());
        if self.json {
            lines.json().flatten_event(true).init();
        } else {
            let lines = lines.with_ansi(terminal::is_coloured()).with_target(false);
            lines.compact().fmt_fields(text_fields::WithoutEvent).init();
        }
        Ok(())
    }

    /// The terminal that the log shares with progress bars.
    #[must_use]
    pub const fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Ends the log with the program's error and exit code, independent of `RUST_LOG`. Waits at most two seconds until all lines
    /// are written.
    pub fn end(&self, error: Option<(&str, u8)>) {
        let last = error.map(|(error, code)| match self.json {
            true => json_line("ERROR", events::FAILED, error, ("exit_code", code.into())),
            false => format!("error: {error}\n"),
        });
        self.writer.end(last.as_deref());
    }
}

fn notice(lost: u64) -> String {
    format!("{} lost", human::counted(lost, "log line was", "log lines were"))
}

fn notice_json(lost: u64) -> String {
    json_line("WARN", events::LOG_LINES_LOST, &notice(lost), ("lost", lost))
}

fn notice_text(lost: u64) -> String {
    format!("{}  WARN {}\n", now(), notice(lost))
}

/// A line in the format of the subscriber, for lines that bypass it.
fn json_line(level: &str, event: &str, message: &str, (name, value): (&str, u64)) -> String {
    let line = json!({ "timestamp": now(), "level": level, "message": message, "event": event, name: value });
    format!("{line}\n")
}

fn now() -> String {
    // Only fails for years beyond 9999.
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// The filter for a `RUST_LOG`.
fn filter(text: Option<&OsStr>) -> Result<EnvFilter, Stop> {
    let refused = |reason: String| {
        Stop::Usage(format!(
            "RUST_LOG takes levels such as `debug` or `info,catalog_producer=debug`: {reason}"
        ))
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(EnvFilter::new("info")) };
    let text = text.to_str().ok_or_else(|| refused("it is not valid UTF-8".to_owned()))?;
    EnvFilter::try_new(text).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_parsed_or_refused() {
        let parsed = |text: &str| filter(Some(OsStr::new(text))).map(|filter| filter.to_string());
        assert_eq!(parsed("debug").unwrap(), "debug");
        assert_eq!((parsed("").unwrap(), filter(None).unwrap().to_string()), ("info".into(), "info".into()));
        for text in ["catalog_producer=loud", "info,=", "a=b=c"] {
            assert!(
                matches!(parsed(text), Err(Stop::Usage(message)) if message.starts_with("RUST_LOG")),
                "{text}"
            );
        }
    }
}
