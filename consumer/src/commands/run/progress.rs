//! How far a consumer is: on a terminal a bar below the log, elsewhere a line every ten seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::human;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::rate::{Rate, seconds_left};
use catalog_shared::terminal::{self, Drawing, Terminal};
use indicatif::{MultiProgress, ProgressBar};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::kafka::partitions::{data_partitions, watermarks};
use crate::model::topic::TopicKind;

/// How often a line is logged, and how often the ends of partitions are asked for.
const EVERY: Duration = Duration::from_secs(10);

/// A partition.
type Part = (TopicKind, i32);

/// A consumer's progress, shown until [`Progress::end`].
pub(crate) struct Progress {
    seen: Arc<Mutex<Seen>>,
    ends: JoinHandle<()>,
    bar: Option<Drawing>,
    logged: Instant,
}

/// What is known.
#[derive(Default)]
struct Seen {
    /// Records that this process applied.
    applied: u64,
    /// Offsets that this process went past: records, and what takes an offset besides.
    moved: u64,
    positions: HashMap<Part, i64>,
    /// Where partitions end; empty until Kafka has answered.
    ends: HashMap<Part, i64>,
    rate: Rate,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Now {
    applied: u64,
    moved: u64,
    /// Offsets to go in the partitions of this process, once that is known.
    left: Option<u64>,
    /// Offsets per second.
    rate: f64,
}

impl Progress {
    /// Starts to show the progress.
    pub(crate) fn start(terminal: &Terminal, kafka: &KafkaArgs) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let ends = tokio::spawn(follow_ends(kafka.clone(), Arc::clone(&seen)));
        let bar = terminal.bars().map(|terminal| {
            let (bar, seen) = (Bar::new(terminal), Arc::clone(&seen));
            Drawing::start(move || bar.draw(lock(&seen).now(Instant::now())))
        });
        Self { seen, ends, bar, logged: Instant::now() }
    }

    /// Notes how many records are applied, and where the partitions of this process stand.
    pub(crate) fn note(&self, applied: u64, positions: impl Iterator<Item = (Part, i64)>) {
        lock(&self.seen).note(applied, positions.collect());
    }

    /// Whether a line is due. Logs one, unless there is a bar.
    pub(crate) fn is_due(&mut self) -> bool {
        if self.logged.elapsed() < EVERY {
            return false;
        }
        self.logged = Instant::now();
        let (now, partitions) = {
            let mut seen = lock(&self.seen);
            (seen.now(Instant::now()), seen.positions.len())
        };
        if self.bar.is_none() {
            let Now { applied, left, rate, .. } = now;
            let (per_second, seconds_left) = (rate.round(), now.seconds_left());
            tracing::info!(applied, left, per_second, seconds_left, partitions, "consumed so far");
        }
        true
    }

    /// Ends it. What comes next has the terminal to itself.
    pub(crate) fn end(self) {
        self.ends.abort();
        self.bar.into_iter().for_each(Drawing::end);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the ends of partitions up to date. While Kafka does not answer, the last ones stand.
async fn follow_ends(kafka: KafkaArgs, seen: Arc<Mutex<Seen>>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let measured = async { watermarks(&kafka, data_partitions(&kafka).await?).await };
        match measured.await {
            Ok(marks) => {
                let ends =
                    marks.into_iter().map(|(place, marks)| ((place.kind, place.partition), marks.high));
                lock(&seen).ends = ends.collect();
            }
            Err(error) => tracing::debug!(error = format!("{error:#}"), "can't read the ends of partitions"),
        }
    }
}

impl Seen {
    fn note(&mut self, applied: u64, positions: HashMap<Part, i64>) {
        let moved = |(part, now): (&Part, &i64)| {
            let before = self.positions.get(part)?;
            u64::try_from(now - before).ok()
        };
        self.moved += positions.iter().filter_map(moved).sum::<u64>();
        (self.applied, self.positions) = (applied, positions);
    }

    fn now(&mut self, at: Instant) -> Now {
        let left = |(part, position): (&Part, &i64)| {
            let end = self.ends.get(part)?;
            Some(u64::try_from(end - position).unwrap_or_default())
        };
        let left = self.positions.iter().map(left).sum();
        Now {
            applied: self.applied,
            moved: self.moved,
            left: if self.positions.is_empty() { None } else { left },
            rate: self.rate.at(at, self.moved),
        }
    }
}

impl Now {
    fn seconds_left(self) -> Option<u64> {
        seconds_left(self.left?, self.rate).filter(|_| self.left > Some(0))
    }

    /// How much is done, from 0 to 1.
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
            _ => self.seconds_left().map(|left| format!("{} left", human::span(left))).unwrap_or_default(),
        };
        format!(
            "{:>11} applied {left:>10} to do {:>7}/s  {time:15}",
            human::count(self.applied),
            human::rounded(self.rate)
        )
    }
}

/// The bar. It vanishes when it is dropped.
struct Bar {
    spacer: ProgressBar,
    bar: ProgressBar,
}

impl Bar {
    fn new(terminal: &MultiProgress) -> Self {
        Self { spacer: terminal::spacer(terminal), bar: terminal::bar(terminal, "total") }
    }

    fn draw(&self, now: Now) {
        self.spacer.tick();
        terminal::fill(&self.bar, now.share());
        self.bar.set_message(now.text());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.spacer.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Part = (TopicKind::DeadLetters, 0);
    const OTHER: Part = (TopicKind::DeadLetters, 1);

    #[test]
    fn what_is_left_is_that_of_the_partitions_of_this_process() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.note(0, [(ONE, 0), (OTHER, 100)].into());
        assert_eq!(seen.now(start).left, None);
        seen.ends = [(ONE, 1_000), (OTHER, 500)].into();
        assert_eq!(seen.now(start).left, Some(1_400));
        // The other partition has gone to another consumer; this one has moved.
        seen.note(190, [(ONE, 200)].into());
        let now = seen.now(start + Duration::from_secs(10));
        assert_eq!(now, Now { applied: 190, moved: 200, left: Some(800), rate: 20.0 });
        assert_eq!((now.share(), now.seconds_left()), (0.2, Some(40)));
    }

    #[test]
    fn a_line_says_what_is_done_and_to_do_and_keeps_its_columns() {
        let begun = Now { applied: 0, moved: 0, left: None, rate: 0.0 };
        let midway = Now { applied: 41_800, moved: 41_900, left: Some(143_742), rate: 12_345.6 };
        let done = Now { left: Some(0), ..midway };
        let (first, second, third) = (begun.text(), midway.text(), done.text());
        assert!(second.contains("41,800 applied") && second.contains("143,742 to do"), "{second}");
        assert!(second.contains("12,346/s") && second.contains("12 s left"), "{second}");
        assert!(third.contains("caught up") && !third.contains("left"), "{third}");
        // The name and 8 columns of a bar fit beside it.
        assert!([first, second, third].iter().all(|text| text.chars().count() == 63));
    }
}
