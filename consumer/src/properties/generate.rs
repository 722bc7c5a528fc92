//! Generators: crawls of a small catalog, and the events while consumers apply them.

use std::collections::BTreeMap;

use catalog_shared::cursor::Mode;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The number of domains.
pub(super) const DOMAINS: u8 = 3;

/// A page of a crawl: its assets and the content of each. Both are small numbers, so assets change and change back.
pub(super) type Page = BTreeMap<u8, u8>;

/// A crawl. An asset that is on none of its pages has disappeared, regardless of the mode.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) region: Region,
    pub(super) mode: Mode,
    /// The domain that a partial run crawls completely; `None` for a run with a limit.
    pub(super) only: Option<u8>,
    /// Whether a full run neither lists nor sees the last domain.
    pub(super) hides: bool,
    /// Whether datasets are published.
    pub(super) datasets: bool,
    /// The record type whose topic gets one more partition before the run.
    pub(super) grows: Option<RecordType>,
    /// The count that `/domains` declares for each domain; `None` if it does not list the domain.
    pub(super) declared: [Option<u8>; DOMAINS as usize],
    /// Hours before the run begins.
    pub(super) pause: u8,
    pub(super) pages: Vec<Page>,
    /// Whether the run is abandoned, so its end-of-run records are missing.
    pub(super) abandoned: bool,
    /// Whether the next run does not know that this one ended, because its end was not visible yet.
    pub(super) passed_over: bool,
    /// The published record that is lost, if any.
    pub(super) lost: Option<usize>,
    /// The published record that can't be read, if any.
    pub(super) broken: Option<usize>,
    /// The object that the crawl could not turn into a record.
    pub(super) missed: Missed,
}

impl Run {
    /// Whether the crawl finds an asset. A full one may not reach the last domain.
    pub(super) const fn finds(&self, asset: u8) -> bool {
        !self.hides || asset % DOMAINS != DOMAINS - 1
    }
}

/// An object that a crawl could not turn into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Nothing,
    /// An object without an id or a domain.
    Unknown,
    /// An object of this domain without an id.
    Of(u8),
    /// The object with this asset's id.
    Asset(u8),
    /// An entry of `/domains`.
    Entry,
}

/// A step. Partitions are indexes into the partitions of the log.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The consumer of a partition applies its next records.
    Apply(Next),
    /// Several consumers apply batches concurrently, possibly the same batch.
    Together(Vec<Next>),
    /// A consumer is killed while it applies a batch, at this await of the transaction.
    Crash(Next, u32),
    /// One of several consumers that all own a partition applies from the position that it last saw.
    Session(u8, Next),
    /// A consumer applies a batch from a wrong position.
    Zombie(Next, Index),
    /// An operator sets a partition back, and its consumer resumes from there.
    Rewind(Next, Index),
    /// A checkpoint: the check runs.
    Look,
    /// A person decides on one of the runs, if that is allowed.
    Decide(Index, Deed),
}

/// A manual decision on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Approve,
    /// Lifts the shield of a domain.
    Lift(u8),
    Decline,
    Undo,
}

/// The next records of a partition.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) index: Index,
    pub(super) count: usize,
}

/// Crawls, and how their log is applied to the tables.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) runs: Vec<Run>,
    /// Whether the default thresholds apply, which few small catalogs meet, or none.
    pub(super) strict: bool,
    pub(super) steps: Vec<Step>,
    pub(super) drain: Drain,
    /// The decisions and steps after the end of the log.
    pub(super) late: Vec<Step>,
    /// Which superseded records compaction drops; the choices repeat.
    pub(super) dropped: Vec<bool>,
    /// The order in which the rebuild reads the log.
    pub(super) replay: Drain,
}

/// How the rest of a log is read: the first partition, and the records per batch.
#[derive(Clone, Debug)]
pub(super) struct Drain {
    pub(super) first: Index,
    pub(super) batch: usize,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let runs = prop::collection::vec(run(), 1..9);
    let steps = prop::collection::vec(step(), 0..20);
    let late = prop::collection::vec(prop_oneof![3 => decide(), 3 => rewind()], 0..8);
    let dropped = prop::collection::vec(any::<bool>(), 1..20);
    (runs, prop::bool::weighted(0.2), steps, drain(), late, dropped, drain()).prop_map(
        |(runs, strict, steps, drain, late, dropped, replay)| Case {
            runs,
            strict,
            steps,
            drain,
            late,
            dropped,
            replay,
        },
    )
}

fn run() -> impl Strategy<Value = Run> {
    let region = prop_oneof![5 => Just(Region::Us), 1 => Just(Region::Eu)];
    let mode = prop_oneof![6 => Just(Mode::Full), 1 => Just(Mode::Since), 3 => Just(Mode::Part)];
    let grows = prop::option::weighted(0.4, select(RecordType::ALL.to_vec()));
    let declared = prop::array::uniform3(prop::option::weighted(0.8, 0..3_u8));
    let reach = (prop::option::weighted(0.8, 0..DOMAINS), prop::bool::weighted(0.6));
    let shape = (region, mode, reach, prop::bool::weighted(0.9), grows, (declared, 0..60_u8));
    let page = prop::collection::btree_map(0..6_u8, 0..3_u8, 1..4);
    let lost = prop::option::weighted(0.15, 0..12_usize);
    let broken = prop::option::weighted(0.15, 0..12_usize);
    let missed = prop_oneof![
        6 => Just(Missed::Nothing),
        1 => Just(Missed::Unknown),
        1 => (0..DOMAINS).prop_map(Missed::Of),
        1 => (0..6_u8).prop_map(Missed::Asset),
        1 => Just(Missed::Entry),
    ];
    let fate = (prop::bool::weighted(0.1), prop::bool::weighted(0.15), lost, broken, missed);
    (shape, prop::collection::vec(page, 0..4), fate).prop_map(
        |((region, mode, (only, hides), datasets, grows, (declared, pause)), pages, fate)| {
            let (abandoned, passed_over, lost, broken, missed) = fate;
            Run {
                region,
                mode,
                only: only.filter(|_| mode == Mode::Part),
                hides: hides && mode == Mode::Full,
                datasets,
                grows,
                declared,
                pause,
                pages,
                abandoned,
                passed_over,
                lost,
                broken,
                missed,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => next().prop_map(Step::Apply),
        2 => prop::collection::vec(next(), 2..4).prop_map(Step::Together),
        2 => (next(), 0..60_u32).prop_map(|(next, polls)| Step::Crash(next, polls)),
        3 => (0..3_u8, next()).prop_map(|(member, next)| Step::Session(member, next)),
        1 => (next(), any::<Index>()).prop_map(|(next, from)| Step::Zombie(next, from)),
        3 => rewind(),
        2 => decide(),
        2 => Just(Step::Look),
    ]
}

fn rewind() -> impl Strategy<Value = Step> {
    (next(), any::<Index>()).prop_map(|(next, to)| Step::Rewind(next, to))
}

fn decide() -> impl Strategy<Value = Step> {
    let deed = prop_oneof![
        2 => Just(Deed::Approve),
        2 => (0..DOMAINS).prop_map(Deed::Lift),
        1 => Just(Deed::Decline),
        2 => Just(Deed::Undo),
    ];
    (any::<Index>(), deed).prop_map(|(run, deed)| Step::Decide(run, deed))
}

fn next() -> impl Strategy<Value = Next> {
    (any::<Index>(), 1..10_usize).prop_map(|(index, count)| Next { index, count })
}

fn drain() -> impl Strategy<Value = Drain> {
    (any::<Index>(), select(vec![1, 3, 10, 1000])).prop_map(|(first, batch)| Drain { first, batch })
}

pub(super) fn domain(asset: u8) -> String {
    format!("d{}.example", asset % DOMAINS)
}

pub(super) fn id(asset: u8) -> String {
    format!("aaaa-{asset:04}")
}
