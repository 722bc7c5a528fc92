//! The terminal, shared by log lines and progress bars.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often bars are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// How long the program waits for the last drawing, because the terminal may be stopped by Ctrl-S.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of steps of a bar.
const STEPS: u64 = 1000;

/// Whether standard error is a terminal that can move its cursor, which bars need.
#[must_use]
pub fn is_terminal() -> bool {
    io::stderr().is_terminal() && is_capable(env::var("TERM").ok().as_deref())
}

/// Whether text on standard error may be coloured: on a capable terminal, unless `NO_COLOR` is set
/// (<https://no-color.org>).
#[must_use]
pub fn is_coloured() -> bool {
    is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_capable(term: Option<&str>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Standard error, with bars below the log on a terminal.
#[derive(Clone, Debug)]
pub struct Terminal(Option<MultiProgress>);

impl Terminal {
    /// Standard error; with bars if `with_bars` and it is a terminal.
    #[must_use]
    pub fn new(with_bars: bool) -> Self {
        Self((with_bars && is_terminal()).then(MultiProgress::new))
    }

    /// The progress bars, if there are any.
    #[must_use]
    pub const fn bars(&self) -> Option<&MultiProgress> {
        self.0.as_ref()
    }
}

impl Write for Terminal {
    /// Writes a complete line above the bars. (`MultiProgress::suspend` would panic on a closed terminal.)
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Some(bars) = &self.0 else { return io::stderr().write(line) };
        bars.println(String::from_utf8_lossy(line).trim_end_matches('\n'))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A progress bar below the log, with an empty line above it. It is removed when dropped.
#[derive(Debug)]
pub struct Bar {
    spacer: ProgressBar,
    bar: ProgressBar,
}

impl Bar {
    /// A bar after its name and numbers in fixed columns.
    #[must_use]
    pub fn new(terminal: &MultiProgress, name: &str) -> Self {
        let spacer = spacer(terminal);
        let style = ProgressStyle::with_template("{prefix:7} {msg} {wide_bar}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╾─");
        let bar = terminal.add(ProgressBar::new(STEPS).with_style(style).with_prefix(name.to_owned()));
        Self { spacer, bar }
    }

    /// Draws the bar up to a share from 0 to 1, with a text beside it.
    pub fn draw(&self, share: f64, text: String) {
        self.spacer.tick();
        fill(&self.bar, share);
        self.bar.set_message(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.spacer.finish_and_clear();
    }
}

/// An empty line above the bars. The echo of Ctrl-C moves the cursor down, so that the uppermost line stays on the terminal.
fn spacer(terminal: &MultiProgress) -> ProgressBar {
    let empty = ProgressStyle::with_template(" ").unwrap_or_else(|_| ProgressStyle::default_bar());
    terminal.add(ProgressBar::new(STEPS).with_style(empty))
}

/// Fills a bar up to a share from 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
fn fill(bar: &ProgressBar, share: f64) {
    bar.set_position((share.clamp(0.0, 1.0) * STEPS as f64) as u64);
}

/// Draws bars periodically on a separate thread, because a stopped terminal must not block the program.
#[derive(Debug)]
pub struct Drawing {
    stop: SyncSender<()>,
    ended: Receiver<()>,
}

impl Drawing {
    /// Draws now and every 250 ms until [`Drawing::end`]. The bars are removed when `draw` is dropped.
    pub fn start(mut draw: impl FnMut() + Send + 'static) -> Self {
        let ((stop, stopped), (end, ended)) = (sync_channel::<()>(0), sync_channel::<()>(0));
        let work = move || {
            draw();
            while stopped.recv_timeout(DRAW_EVERY) == Err(RecvTimeoutError::Timeout) {
                draw();
            }
            drop(draw);
            drop(end);
        };
        // Without a thread there are no bars, but the program continues.
        drop(thread::Builder::new().name("bars".to_owned()).spawn(work));
        Self { stop, ended }
    }

    /// Ends the drawing.
    pub fn end(self) {
        drop(self.stop);
        let _ = self.ended.recv_timeout(END_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_gets_neither_bars_nor_colours() {
        assert!(is_capable(Some("xterm-256color")));
        assert!(!is_capable(Some("dumb")) && !is_capable(Some("")) && !is_capable(None));
    }
}
