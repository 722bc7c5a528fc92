//! The state that all scenes share: settings, the catalog, and the lines of the table.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use anyhow::Result;

use crate::figure::{Bound, Of, Row, Unit};
use crate::objects::Objects;
use crate::program::Run;

/// The running benchmark.
pub(crate) struct Bench {
    pub(crate) rounds: usize,
    pub(crate) full: bool,
    pub(crate) objects: Objects,
    pub(crate) began: Instant,
    pub(crate) rows: Vec<Row>,
    peaks: BTreeMap<Peaks, Vec<f64>>,
}

/// Groups of runs whose peak memory is reported together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Peaks {
    Consumer { assets: usize },
    Producer { assets: usize },
    Replay,
}

impl Bench {
    pub(crate) fn new(rounds: usize, full: bool, objects: Objects) -> Self {
        let (rows, peaks) = (Vec::new(), BTreeMap::new());
        Self { rounds: rounds.max(1), full, objects, began: Instant::now(), rows, peaks }
    }

    /// Reports progress on standard error.
    pub(crate) fn progress(&self, what: &str) -> Result<()> {
        Ok(writeln!(std::io::stderr(), "{:6.0} s  {what}", self.began.elapsed().as_secs_f64())?)
    }

    /// Adds a line, if there is one.
    pub(crate) fn add(&mut self, row: Option<Row>) {
        self.rows.extend(row);
    }

    /// The number of rounds of a scene whose figures differ little between rounds, and whose rounds take long.
    pub(crate) const fn fewer_rounds(&self) -> usize {
        if self.rounds > 2 { self.rounds - 1 } else { self.rounds }
    }

    /// How many rows large tables have.
    pub(crate) fn large_rows(&self) -> u64 {
        let assets = self.objects.objects.len() as u64;
        if self.full { 2_000_000 } else { (16 * assets).min(500_000) }
    }

    /// Stores the peak memory of a crawl of this number of assets.
    pub(crate) fn producer_peak(&mut self, assets: usize, run: &Run) {
        self.peaks.entry(Peaks::Producer { assets }).or_default().push(run.peak);
    }

    /// Stores the peak memory of a consumer of a crawl of this number of assets.
    pub(crate) fn consumer_peak(&mut self, assets: usize, run: &Run) {
        self.peaks.entry(Peaks::Consumer { assets }).or_default().push(run.peak);
    }

    /// Stores the peak memory of a command that reads topics from their beginning.
    pub(crate) fn replay_peak(&mut self, run: &Run) {
        self.peaks.entry(Peaks::Replay).or_default().push(run.peak);
    }

    /// Adds the lines about memory.
    pub(crate) fn add_peak_rows(&mut self) {
        for (runs, values) in std::mem::take(&mut self.peaks) {
            let (what, most) = match runs {
                Peaks::Consumer { assets } => (format!("peak memory, consumer, {assets} assets"), 120.0),
                Peaks::Producer { assets } => (format!("peak memory, producer, {assets} assets"), 50.0),
                Peaks::Replay => ("peak memory, rebuild and verify --topics".to_owned(), 120.0),
            };
            let row = Row::new(what, Unit::Mebibytes, values);
            self.add(row.map(|row| row.target(Of::Largest, Bound::AtMost(most))));
        }
    }
}
