//! The terminal: log lines and the bars of a crawl share it without breaking each other.

use std::io::{self, IsTerminal, Write};

use catalog_shared::telemetry::LogFormat;
use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;

/// Standard error, with bars below the log where people look at it.
#[derive(Clone)]
pub struct Screen {
    bars: Option<MultiProgress>,
}

impl Screen {
    /// Standard error as it is: with bars on a terminal whose log lines are text.
    #[must_use]
    pub fn new(format: LogFormat) -> Self {
        let for_people = io::stderr().is_terminal() && format != LogFormat::Json;
        Self { bars: for_people.then(MultiProgress::new) }
    }

    /// Where bars are to be added, if there are to be any.
    pub(crate) const fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Screen {
    /// A whole log line, as the subscriber hands it over; the bars make room for it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &self.bars {
            Some(bars) => bars.suspend(|| io::stderr().write(line)),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
