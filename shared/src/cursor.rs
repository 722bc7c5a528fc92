//! The producer's state: one JSON record per region in the cursors topic, written in the same transaction as the pages
//! that it covers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::missed::Missed;
use crate::record::{RecordType, SCHEMA};
use crate::region::Region;

mod parameters;

pub use parameters::{Coverage, Mode, RunParameters, Since};

/// A count for each partition of each data topic. The index is the partition.
pub type PartitionCounts = BTreeMap<RecordType, Vec<u64>>;

/// The state of a region's producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The schema of this record, [`crate::record::SCHEMA`] if written by this build.
    pub schema: u32,
    /// The region, which is also the record's key.
    pub region: Region,
    /// The random instance id of the process that claimed the region. The newest claim wins.
    #[serde(rename = "owner")]
    pub instance_id: String,
    /// The run's number, from 1.
    pub run: u32,
    /// Whether the run is complete.
    pub state: RunState,
    /// When and why the process that crawled the run stopped, if it could record that; `None` once the run is resumed. The
    /// first cursors did not have it.
    #[serde(default)]
    pub stopped: Option<Stopped>,
    /// Whether a webhook has accepted that the run failed. Each run is sent once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub notified: bool,
    /// The run's parameters. A resume with other parameters is refused.
    #[serde(rename = "shape")]
    pub parameters: RunParameters,
    /// When the run started.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When the run ended, once it has.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// The last run before this one that ended; those between were abandoned.
    pub previous_ended: Option<u32>,
    /// The number that the next published page gets; 0 while `/domains` has not been published.
    pub next_page: u32,
    /// The intervals that are not covered yet: disjoint, in id order. If empty in a crawling run, only the end-of-run records
    /// are missing.
    pub pending: Vec<Interval>,
    /// The largest seen id. An answer without objects after a smaller one is wrong.
    pub max_id: Option<String>,
    /// How many objects the run has seen.
    pub objects: u64,
    /// The number of partitions of each data topic when the run started. The run uses no others.
    pub partitions: BTreeMap<RecordType, i32>,
    /// How many records the run has published, without end-of-run records.
    pub published: PartitionCounts,
    /// What the run could not read.
    #[serde(flatten)]
    pub missed: Missed,
    /// How many assets `/domains` declared for each domain.
    pub declared: BTreeMap<String, u64>,
    /// How many assets the run has published for each domain.
    pub seen: BTreeMap<String, u64>,
    /// When the last ended run that saw all changes started. `--since auto` starts there.
    #[serde(with = "time::serde::rfc3339::option")]
    pub complete_since: Option<OffsetDateTime>,
    /// The same for sets of domains that were crawled separately, newest first, at most [`DOMAIN_SETS`].
    #[serde(default)]
    pub domains_complete_since: Vec<DomainsComplete>,
    /// When the last ended crawls started that saw all datasets, of the region (no domains) and of sets of domains, newest
    /// first, at most [`DOMAIN_SETS`]. The first cursors did not have it.
    #[serde(default)]
    pub full_crawls: Vec<DomainsComplete>,
    /// The runs before this one, newest first, at most [`HISTORY`]. The first cursors did not have it.
    #[serde(default)]
    pub history: Vec<PastRun>,
}

/// A false member is left out, as in the first cursors.
const fn is_false(value: &bool) -> bool {
    !*value
}

/// How a crawl stopped before its run was complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The error; `None` after a signal.
    pub error: Option<String>,
}

/// The maximum number of past runs in a cursor.
pub const HISTORY: usize = 10;

/// The maximum number of sets of domains in a cursor.
pub const DOMAIN_SETS: usize = 50;

/// When all changes of a set of domains were last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainsComplete {
    /// The domains, in lower case.
    pub domains: BTreeSet<String>,
    /// When the last ended run that saw all their changes started.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

/// A run before the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// Its number.
    pub run: u32,
    /// Which part of the catalog it crawled.
    pub mode: Mode,
    /// The record types that it published.
    pub kinds: Vec<RecordType>,
    /// Its outcome.
    pub state: PastState,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended, if it did.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// How many pages it published, including `/domains`.
    pub pages: u32,
    /// How many objects it saw.
    pub objects: u64,
}

/// The outcome of a past run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PastState {
    /// All of it was published.
    Ended,
    /// It was discarded for the next one.
    Abandoned,
}

impl Cursor {
    /// The cursor of a run that starts now and has published nothing yet. It has no partitions and no instance id.
    #[must_use]
    pub fn new(region: Region, parameters: RunParameters, run: u32) -> Self {
        let whole = Interval { after: parameters.from.clone().unwrap_or_default(), until: None };
        Self {
            schema: SCHEMA,
            region,
            instance_id: String::new(),
            run,
            state: RunState::Crawling,
            stopped: None,
            notified: false,
            parameters,
            started_at: OffsetDateTime::now_utc(),
            ended_at: None,
            previous_ended: None,
            next_page: 0,
            pending: vec![whole],
            max_id: None,
            objects: 0,
            partitions: BTreeMap::new(),
            published: BTreeMap::new(),
            missed: Missed::default(),
            declared: BTreeMap::new(),
            seen: BTreeMap::new(),
            complete_since: None,
            domains_complete_since: Vec::new(),
            full_crawls: Vec::new(),
            history: Vec::new(),
        }
    }

    /// The history of the next run.
    #[must_use]
    pub fn history_with_own(&self) -> Vec<PastRun> {
        let state = if self.state == RunState::Ended { PastState::Ended } else { PastState::Abandoned };
        let own = PastRun {
            run: self.run,
            mode: self.parameters.mode,
            kinds: self.parameters.kinds.clone(),
            state,
            started_at: self.started_at,
            ended_at: self.ended_at,
            pages: self.next_page,
            objects: self.objects,
        };
        std::iter::once(own).chain(self.history.iter().cloned()).take(HISTORY).collect()
    }
}

/// Whether a run is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Pages or end-of-run records are missing.
    Crawling,
    /// Everything is published, including the end-of-run records.
    Ended,
}

/// An interval of the id space: `after < id`, and `id <= until` if it has an upper bound. Ids compare as bytes, as in the
/// API's scroll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// The exclusive lower bound; empty for the start.
    pub after: String,
    /// The inclusive upper bound; `None` for the end.
    pub until: Option<String>,
}

impl Interval {
    /// The whole id space.
    #[must_use]
    pub const fn whole() -> Self {
        Self { after: String::new(), until: None }
    }

    /// Whether an id is beyond the upper bound.
    #[must_use]
    pub fn ends_before(&self, id: &str) -> bool {
        self.until.as_deref().is_some_and(|until| id > until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_includes_its_upper_bound() {
        let lane = Interval { after: "2222-2222".into(), until: Some("g222-2222".into()) };
        assert!(!lane.ends_before("g222-2222"));
        assert!(lane.ends_before("g222-2223"));
        assert!(!Interval::whole().ends_before("zzzz-zzzz:draft"));
    }

    /// Other programs read cursors, and one that an older build wrote is continued.
    #[test]
    fn the_members_of_a_cursor_keep_their_names_and_their_order() {
        let json = concat!(
            r#"{"schema":1,"region":"us","owner":"me","run":7,"state":"crawling","stopped":null,"#,
            r#""shape":{"mode":"since","kinds":["hosts"],"api_url":"x","#,
            r#""since":{"asked":"auto","from":"2026-01-01T00:00:00Z"},"limit":null,"domains":[],"from":null},"#,
            r#""started_at":"2026-01-01T00:00:00Z","ended_at":null,"previous_ended":6,"next_page":1,"#,
            r#""pending":[{"after":"","until":null}],"max_id":null,"objects":3,"partitions":{"hosts":1},"#,
            r#""published":{"hosts":[3]},"unkeyed":2,"skipped":1,"bad_domains":1,"unkeyed_by":{"a.example":1},"#,
            r#""unread_ids":["aaaa-aaaa"],"declared":{},"seen":{},"complete_since":null,"#,
            r#""domains_complete_since":[],"full_crawls":[],"history":[]}"#,
        );
        let cursor: Cursor = serde_json::from_str(json).unwrap();
        assert_eq!(cursor.missed.unread_ids, ["aaaa-aaaa"]);
        assert_eq!(serde_json::to_string(&cursor).unwrap(), json);
    }
}
