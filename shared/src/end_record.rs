//! End-of-run records, one on every partition of the run's topics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cursor::RunParameters;
use crate::record::RecordType;

/// The maximum number of ids of unreadable objects that a run keeps. Further ones are only counted.
pub const UNREAD_IDS: usize = 1_000;

/// The end-of-run record of one partition. Its key contains the run, so compaction keeps the records of all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// The run that ended.
    pub run: u32,
    /// The parameters of the run.
    #[serde(flatten)]
    pub shape: RunParameters,
    /// The last run before it that ended; those between were abandoned.
    pub previous_ended: Option<u32>,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// The number of partitions of each topic that the run wrote to, and so of its end-of-run records.
    pub partitions: BTreeMap<RecordType, i32>,
    /// How many records it published to this partition.
    pub published: u64,
    /// How many pages it published, `/domains` included.
    pub pages: u32,
    /// How many objects it saw.
    pub objects: u64,
    /// How many objects and entries of `/domains` have no usable key.
    pub unkeyed: u64,
    /// How many objects it skipped because no answer that contained them could be read.
    pub skipped: u64,
    /// How many entries of `/domains` it could not read; `unkeyed` counts them too.
    #[serde(default)]
    pub bad_domains: u64,
    /// How many objects of each domain have no usable id; `unkeyed` counts them too.
    #[serde(default)]
    pub unkeyed_by: BTreeMap<String, u64>,
    /// The ids of objects that could not be read, [`UNREAD_IDS`] at most; `unkeyed` or `skipped` counts each.
    #[serde(default)]
    pub unread_ids: Vec<String>,
    /// How many assets `/domains` declared for each domain.
    pub declared: BTreeMap<String, u64>,
    /// How many assets it published for each domain.
    pub seen: BTreeMap<String, u64>,
}

impl EndRecord {
    /// How many missed objects have neither a known domain nor a known id. It is unknown which rows they would have kept, so a
    /// run with any of them retires nothing. Runs of earlier versions have no domains and ids.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        let identified =
            self.bad_domains + self.unkeyed_by.values().sum::<u64>() + self.unread_ids.len() as u64;
        (self.unkeyed + self.skipped).saturating_sub(identified)
    }
}
