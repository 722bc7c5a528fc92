//! Logs: human text on a terminal, JSON otherwise, always to standard error.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing_subscriber::EnvFilter;

use crate::human;
use crate::log_writer::LogWriter;
use crate::screen::{self, Screen};
use crate::stop::Stop;

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

/// The program's log, on standard error.
#[derive(Debug)]
pub struct Log {
    json: bool,
    screen: Screen,
    writer: LogWriter,
}

impl Log {
    /// Opens the log; its lines are written on a thread of its own.
    #[must_use]
    pub fn open(format: LogFormat) -> Self {
        let json = match format {
            LogFormat::Auto => !io::stderr().is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        let screen = Screen::new(!json);
        let notice = if json { notice_json } else { notice_text };
        let writer = LogWriter::start(screen.clone(), notice);
        Self { json, screen, writer }
    }

    /// Starts to log at the level of `RUST_LOG` (default `info`).
    ///
    /// # Errors
    /// [`Stop::Usage`] for a `RUST_LOG` that can't be read.
    pub fn start(&self) -> Result<(), Stop> {
        let filter = filter(env::var_os("RUST_LOG").as_deref())?;
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(self.writer.clone());
        if self.json {
            lines.json().flatten_event(true).init();
        } else {
            lines.with_ansi(screen::is_coloured()).with_target(false).compact().init();
        }
        Ok(())
    }

    /// The terminal that the log shares with progress bars.
    #[must_use]
    pub const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Ends the log, with the error and the exit code that the program ends with, whatever `RUST_LOG` says. Waits
    /// until all lines are written, for two seconds at most.
    pub fn end(&self, error: Option<(&str, u8)>) {
        let last = error.map(|(error, code)| match self.json {
            true => json_line("ERROR", error, ("exit_code", code.into())),
            false => format!("error: {error}\n"),
        });
        self.writer.end(last.as_deref());
    }
}

fn notice(lost: u64) -> String {
    format!("{} lost", human::counted(lost, "log line was", "log lines were"))
}

fn notice_json(lost: u64) -> String {
    json_line("WARN", &notice(lost), ("lost", lost))
}

fn notice_text(lost: u64) -> String {
    format!("{}  WARN {}\n", now(), notice(lost))
}

/// A line as the subscriber writes it, for what must not go through the subscriber.
fn json_line(level: &str, message: &str, (name, value): (&str, u64)) -> String {
    format!("{}\n", json!({ "timestamp": now(), "level": level, "message": message, name: value }))
}

fn now() -> String {
    // Can't fail for a time of these centuries.
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
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
