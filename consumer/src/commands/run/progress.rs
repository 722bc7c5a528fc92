//! The progress of a consumer: a bar below the log on a terminal, otherwise a log line every ten seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::human;
use catalog_shared::rate_meter::{RateMeter, seconds_left};
use catalog_shared::terminal::{Bar, Drawing, Terminal};

use crate::model::topic::PartitionId;

/// Interval between log lines.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The progress of a consumer, shown until [`Progress::end`].
pub(crate) struct Progress {
    state: Arc<Mutex<State>>,
    bar: Option<Drawing>,
    logged: Instant,
}

/// The measurements.
#[derive(Default)]
struct State {
    /// The number of records that this process applied.
    applied: u64,
    /// The number of offsets that this process passed. Ends of transactions take an offset too.
    moved: u64,
    positions: HashMap<PartitionId, i64>,
    /// The end offsets; empty until Kafka has answered.
    ends: HashMap<PartitionId, i64>,
    rate: RateMeter,
}

/// The figures that are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ProgressLine {
    applied: u64,
    moved: u64,
    /// The offsets left in the partitions of this process, once the end offsets are known.
    left: Option<u64>,
    /// Offsets per second.
    rate: f64,
}

impl Progress {
    /// Starts showing the progress.
    pub(crate) fn start(terminal: &Terminal) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let bar = terminal.bars().map(|terminal| {
            let (bar, state) = (Bar::new(terminal, "total"), Arc::clone(&state));
            Drawing::start(move || {
                let figures = lock(&state).figures(Instant::now());
                bar.draw(figures.share(), figures.text());
            })
        });
        Self { state, bar, logged: Instant::now() }
    }

    /// Updates the number of applied records, and the positions and ends of the partitions of this process.
    pub(crate) fn record(
        &self,
        applied: u64,
        positions: HashMap<PartitionId, i64>,
        ends: HashMap<PartitionId, i64>,
    ) {
        let mut state = lock(&self.state);
        state.record(applied, positions);
        state.ends = ends;
    }

    /// Whether a report is due. Logs a line then, unless there is a bar.
    pub(crate) fn is_due(&mut self) -> bool {
        if self.logged.elapsed() < REPORT_INTERVAL {
            return false;
        }
        self.logged = Instant::now();
        let (figures, partitions) = {
            let mut state = lock(&self.state);
            (state.figures(Instant::now()), state.positions.len())
        };
        if self.bar.is_none() {
            let ProgressLine { applied, left, rate, .. } = figures;
            let (per_second, seconds_left) = (rate.round(), figures.seconds_left());
            tracing::info!(
                event = events::CONSUME_PROGRESS,
                applied,
                left,
                per_second,
                seconds_left,
                partitions,
                "consumed so far"
            );
        }
        true
    }

    /// Stops showing the progress and clears the bar.
    pub(crate) fn end(self) {
        self.bar.into_iter().for_each(Drawing::end);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn record(&mut self, applied: u64, positions: HashMap<PartitionId, i64>) {
        let moved = |(part, now): (&PartitionId, &i64)| {
            let before = self.positions.get(part)?;
            u64::try_from(now - before).ok()
        };
        self.moved += positions.iter().filter_map(moved).sum::<u64>();
        (self.applied, self.positions) = (applied, positions);
    }

    fn figures(&mut self, at: Instant) -> ProgressLine {
        let left = |(part, position): (&PartitionId, &i64)| {
            let end = self.ends.get(part)?;
            Some(u64::try_from(end - position).unwrap_or_default())
        };
        let left = self.positions.iter().map(left).sum();
        ProgressLine {
            applied: self.applied,
            moved: self.moved,
            left: if self.positions.is_empty() { None } else { left },
            rate: self.rate.at(at, self.moved),
        }
    }
}

impl ProgressLine {
    fn seconds_left(self) -> Option<u64> {
        seconds_left(self.left?, self.rate).filter(|_| self.left > Some(0))
    }

    /// The share that is done, 0 to 1.
    fn share(self) -> f64 {
        match self.left {
            None => 0.0,
            Some(0) => 1.0,
            Some(left) => self.moved as f64 / (self.moved + left) as f64,
        }
    }

    fn text(self) -> String {
        let left = self.left.map_or_else(|| "?".to_owned(), human::count);
        let time = match self.left {
            Some(0) => "caught up".to_owned(),
            _ => self.seconds_left().map(|left| format!("ETA {}", human::span(left))).unwrap_or_default(),
        };
        format!(
            "{:>11} applied {left:>10} left  {:>7}/s  {time:15}",
            human::count(self.applied),
            human::rounded(self.rate)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topic::TopicKind;

    const ONE: PartitionId = (TopicKind::DeadLetters, 0);
    const OTHER: PartitionId = (TopicKind::DeadLetters, 1);

    #[test]
    fn only_partitions_of_this_process_count_as_left() {
        let (mut state, start) = (State::default(), Instant::now());
        state.record(0, [(ONE, 0), (OTHER, 100)].into());
        assert_eq!(state.figures(start).left, None);
        state.ends = [(ONE, 1_000), (OTHER, 500)].into();
        assert_eq!(state.figures(start).left, Some(1_400));
        // The other partition was assigned to another consumer. This one has progressed.
        state.record(190, [(ONE, 200)].into());
        let figures = state.figures(start + Duration::from_secs(10));
        assert_eq!(figures, ProgressLine { applied: 190, moved: 200, left: Some(800), rate: 20.0 });
        assert_eq!((figures.share(), figures.seconds_left()), (0.2, Some(40)));
    }

    #[test]
    fn a_line_shows_applied_and_left_records_in_fixed_columns() {
        let begun = ProgressLine { applied: 0, moved: 0, left: None, rate: 0.0 };
        let midway = ProgressLine { applied: 41_800, moved: 41_900, left: Some(143_742), rate: 12_345.6 };
        let done = ProgressLine { left: Some(0), ..midway };
        let (first, second, third) = (begun.text(), midway.text(), done.text());
        assert!(second.contains("41,800 applied") && second.contains("143,742 left"), "{second}");
        assert!(second.contains("12,346/s") && second.contains("ETA 12 s"), "{second}");
        assert!(third.contains("caught up") && !third.contains("ETA"), "{third}");
        // The name and a bar of 8 columns fit beside it.
        assert!([first, second, third].iter().all(|text| text.chars().count() == 63));
    }
}
