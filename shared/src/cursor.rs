//! The producer's state: one JSON record a region in the cursors topic, written in the same transaction
//! as the page it speaks of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::record::Kind;
use crate::region::Region;

mod shape;

pub use shape::{Coverage, Mode, Shape, Since};

/// A count for each partition of a kind's topic; the index is the partition.
pub type PartitionCounts = BTreeMap<Kind, Vec<u64>>;

/// Where a region's producer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The format of this record, [`crate::record::SCHEMA`] when written by this build.
    pub schema: u32,
    /// The region, which is also the record's key.
    pub region: Region,
    /// The random id of the process that claimed the region; the newest claim wins.
    pub owner: String,
    /// The run's number, from 1.
    pub run: u32,
    /// Whether the run is still crawled.
    pub state: RunState,
    /// Why and when the process that crawled the run stopped, where it could still say so; none once the run is
    /// resumed. Cursors had none at first.
    #[serde(default)]
    pub stopped: Option<Stopped>,
    /// All that shapes the run; a resume with another shape is refused.
    pub shape: Shape,
    /// When the run began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When the run ended, once it has.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// The last run before this one that ended; those between were abandoned.
    pub previous_ended: Option<u32>,
    /// The number that the next published page gets; 0 while `/domains` has not been published.
    pub next_page: u32,
    /// What is not covered yet: disjoint, in id order. Nothing left in a crawling run: the markers are due.
    pub pending: Vec<Interval>,
    /// The largest id seen; an answer that there is nothing behind a smaller one is wrong.
    pub max_id: Option<String>,
    /// How many objects the run has seen.
    pub objects: u64,
    /// How many partitions each kind's topic had when the run began; the run uses no others.
    pub partitions: BTreeMap<Kind, i32>,
    /// How many records the run has published, markers left out.
    pub published: PartitionCounts,
    /// How many objects could not be made a record.
    pub unkeyed: u64,
    /// How many objects the run stepped over because no answer that held them could be had, or left out because
    /// they are larger than a topic takes.
    pub skipped: u64,
    /// How many entries of `/domains` could not be read; `unkeyed` counts them too.
    #[serde(default)]
    pub bad_domains: u64,
    /// How many objects of each domain have no usable id; `unkeyed` counts them too.
    #[serde(default)]
    pub unkeyed_by: BTreeMap<String, u64>,
    /// The ids of objects that could not be read; `unkeyed` or `skipped` counts each.
    #[serde(default)]
    pub unread_ids: Vec<String>,
    /// How many assets `/domains` declared for each domain.
    pub declared: BTreeMap<String, u64>,
    /// How many assets the run has published for each domain.
    pub seen: BTreeMap<String, u64>,
    /// When the last ended run that saw all changes began: where an incremental crawl starts from.
    #[serde(with = "time::serde::rfc3339::option")]
    pub complete_since: Option<OffsetDateTime>,
    /// The same for sets of domains that were crawled by themselves, the newest first: [`DOMAIN_SETS`] at most.
    #[serde(default)]
    pub domains_complete_since: Vec<DomainsComplete>,
    /// The runs before this one, the newest first: [`HISTORY`] at most. Cursors had none at first.
    #[serde(default)]
    pub history: Vec<PastRun>,
}

/// How a crawl stopped before its run was complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The error that it stopped with; none after a signal.
    pub error: Option<String>,
}

/// How many runs before its own a cursor tells of.
pub const HISTORY: usize = 10;

/// How many sets of domains a cursor keeps a time for.
pub const DOMAIN_SETS: usize = 50;

/// Since when all changes of a set of domains were seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainsComplete {
    /// The domains, in lower case.
    pub domains: BTreeSet<String>,
    /// When the last ended run that saw all their changes began.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

/// A run that another one has followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// Its number.
    pub run: u32,
    /// How much of the catalog it looked at.
    pub mode: Mode,
    /// Which kinds of records it published.
    pub kinds: Vec<Kind>,
    /// What became of it.
    pub state: PastState,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended, if it did.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// How many pages it published, `/domains` among them.
    pub pages: u32,
    /// How many objects it saw.
    pub objects: u64,
}

/// What became of a run that another one has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PastState {
    /// All of it was published.
    Ended,
    /// It was given up for the next one.
    Abandoned,
}

impl Cursor {
    /// The history that the run after this cursor's begins with.
    #[must_use]
    pub fn history_with_own(&self) -> Vec<PastRun> {
        let state = if self.state == RunState::Ended { PastState::Ended } else { PastState::Abandoned };
        let own = PastRun {
            run: self.run,
            mode: self.shape.mode,
            kinds: self.shape.kinds.clone(),
            state,
            started_at: self.started_at,
            ended_at: self.ended_at,
            pages: self.next_page,
            objects: self.objects,
        };
        std::iter::once(own).chain(self.history.iter().cloned()).take(HISTORY).collect()
    }
}

/// Whether a run is still crawled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Pages are missing, or the markers are.
    Crawling,
    /// All is published, markers too.
    Ended,
}

/// A piece of the id space: `after < id`, and `id <= until` where it has an upper bound. Ids compare as
/// bytes, as the API's scroll does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// The exclusive lower bound; empty for the beginning.
    pub after: String,
    /// The inclusive upper bound; none for the end.
    pub until: Option<String>,
}

impl Interval {
    /// The whole id space.
    #[must_use]
    pub const fn whole() -> Self {
        Self { after: String::new(), until: None }
    }

    /// Whether an id lies beyond the upper bound.
    #[must_use]
    pub fn ends_before(&self, id: &str) -> bool {
        self.until.as_deref().is_some_and(|until| id > until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_behind_its_upper_bound() {
        let lane = Interval { after: "2222-2222".into(), until: Some("g222-2222".into()) };
        assert!(!lane.ends_before("g222-2222"));
        assert!(lane.ends_before("g222-2223"));
        assert!(!Interval::whole().ends_before("zzzz-zzzz:draft"));
    }
}
