//! Shows the progress of a crawl: a progress bar on a terminal, a log line every ten seconds elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::human;
use catalog_shared::rate_meter::{RateMeter, seconds_left};
use catalog_shared::terminal::{self, Drawing, Terminal};
use indicatif::MultiProgress;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};
use tracing::Instrument;

use crate::progress::counters::Counters;

/// How often progress is logged where there is no bar.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What a run has published so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    pub(crate) pages: u32,
    pub(crate) objects: u64,
    /// The number of objects at the end, if known.
    pub(crate) expected: Option<u64>,
}

/// Shows the progress of a crawl until [`Display::end`].
pub(crate) struct Display {
    total: Arc<Mutex<Total>>,
    output: Output,
}

enum Output {
    Bar(Drawing),
    Log(JoinHandle<()>),
}

impl Display {
    pub(crate) fn start(terminal: &Terminal, total: Total, counters: &Arc<Counters>) -> Self {
        let total = Arc::new(Mutex::new(total));
        let shown = Arc::clone(&total);
        let output = match terminal.bars() {
            Some(terminal) => {
                let mut bar = Bar::new(terminal, shown, Arc::clone(counters));
                Output::Bar(Drawing::start(move || bar.draw(Instant::now())))
            }
            None => Output::Log(tokio::spawn(log(shown).in_current_span())),
        };
        Self { total, output }
    }

    pub(crate) fn update(&self, total: Total) {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner) = total;
    }

    /// Removes the bar, or stops the log lines.
    pub(crate) fn end(self) {
        match self.output {
            Output::Bar(drawing) => drawing.end(),
            Output::Log(task) => task.abort(),
        }
    }
}

fn read(total: &Mutex<Total>) -> Total {
    *total.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn log(total: Arc<Mutex<Total>>) {
    let mut tick = interval_at(tokio::time::Instant::now() + LOG_INTERVAL, LOG_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Total { pages, objects, .. } = read(&total);
        tracing::info!(event = events::CRAWL_PROGRESS, pages, objects, "crawl progress");
    }
}

/// The progress bar of a crawl. It is removed when dropped.
struct Bar {
    bar: terminal::Bar,
    rate: RateMeter,
    total: Arc<Mutex<Total>>,
    counters: Arc<Counters>,
}

impl Bar {
    fn new(terminal: &MultiProgress, total: Arc<Mutex<Total>>, counters: Arc<Counters>) -> Self {
        let bar = terminal::Bar::new(terminal, "crawl");
        Self { bar, rate: RateMeter::default(), total, counters }
    }

    fn draw(&mut self, at: Instant) {
        let total = read(&self.total);
        let retries = self.counters.retries().values().sum();
        let rate = self.rate.at(at, total.objects);
        let text = line(total, rate, retries, pause(at, self.counters.paused_until()));
        self.bar.draw(share(total).unwrap_or_default(), text);
    }
}

/// The numbers beside the bar. A pause takes the place of the time left.
fn line(total: Total, rate: f64, retries: u64, pause: Option<u64>) -> String {
    let percent =
        share(total).map_or_else(|| "    ? %".to_owned(), |share| format!("{:5.1} %", share * 100.0));
    let (objects, retries) = (human::count(total.objects), human::count(retries));
    let time = match (pause, left(total, rate)) {
        (Some(pause), _) => format!("paused {}", human::span(pause)),
        (None, Some(left)) => format!("{} left", human::span(left)),
        (None, None) => String::new(),
    };
    format!("{percent}  {rate:6.0}/s  {objects:>7} assets  {retries:>5} retries  {time:16}")
}

fn share(total: Total) -> Option<f64> {
    let expected = total.expected.filter(|expected| *expected > 0)?;
    Some((total.objects as f64 / expected as f64).min(1.0))
}

fn left(total: Total, rate: f64) -> Option<u64> {
    seconds_left(total.expected?.saturating_sub(total.objects), rate)
}

/// The remaining seconds of a pause, rounded up.
fn pause(at: Instant, until: Option<Instant>) -> Option<u64> {
    let left = until?.checked_duration_since(at).filter(|left| !left.is_zero())?;
    Some(left.as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_fixed_columns() {
        let total = Total { pages: 9, objects: 41_800, expected: Some(185_542) };
        let known = line(total, 1_000.0, 12, None);
        assert!(known.contains("22.5 %") && known.contains("12 retries"), "{known}");
        assert!(known.contains("2 min 24 s left"), "{known}");
        let paused = line(total, 1_000.0, 12, Some(125));
        assert!(paused.contains("paused 2 min 5 s") && !paused.contains("left"), "{paused}");
        let unknown = line(Total { expected: None, ..total }, 1_000.0, 0, None);
        assert!(!unknown.contains("left"), "{unknown}");
        assert_eq!(known.chars().count(), unknown.chars().count());
        assert_eq!(known.chars().count(), paused.chars().count());
    }
}
