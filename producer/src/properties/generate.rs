//! Generates catalogs and processes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A catalog, a request, and the consecutive processes that crawl it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Each id with the number of domains that have an object with it.
    pub(super) ids: BTreeMap<String, usize>,
    /// The number of objects without an id after the last one.
    pub(super) without_id: usize,
    /// The id after which a partial run starts.
    pub(super) from: Option<Index>,
    pub(super) limit: Option<u64>,
    pub(super) processes: Vec<Process>,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) restart: bool,
    pub(super) lanes: u16,
    pub(super) page_size: u16,
    /// Which lane receives the next page.
    pub(super) lane_order: Vec<Index>,
    /// How many pages wait for each transaction.
    pub(super) waiting: Vec<usize>,
    /// The transaction at which it is killed.
    pub(super) killed_at: usize,
    /// Whether that transaction is committed.
    pub(super) is_committed: bool,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let id = "[2-9a-km-z]{4}-[2-9a-km-z]{4}";
    // Some are close together, some are where lanes are split, and some are not numbers.
    let id = prop_oneof![
        4 => id,
        4 => "m222-22[2-9][2-9]",
        2 => "[aeimsw]222-2222",
        1 => "[A-Z]{4}-[a-z]{4}:draft",
    ];
    let domains = prop_oneof![3 => Just(1_usize), 1 => 2..7_usize];
    let ids = prop::collection::btree_map(id, domains, 0..40);
    let from = prop::option::weighted(0.2, any::<Index>());
    let limit = prop::option::weighted(0.2, 0..30_u64);
    (ids, 0..4_usize, from, limit, prop::collection::vec(process(), 1..8)).prop_map(
        |(ids, without_id, from, limit, processes)| Case { ids, without_id, from, limit, processes },
    )
}

fn process() -> impl Strategy<Value = Process> {
    let size = select(vec![2_u16, 3, 10]);
    let lane_order = prop::collection::vec(any::<Index>(), 1..6);
    let waiting = prop::collection::vec(1..4_usize, 1..4);
    (prop::bool::weighted(0.1), 1..5_u16, size, lane_order, waiting, 0..10_usize, any::<bool>()).prop_map(
        |(restart, lanes, page_size, lane_order, waiting, killed_at, is_committed)| Process {
            restart,
            lanes,
            page_size,
            lane_order,
            waiting,
            killed_at,
            is_committed,
        },
    )
}
