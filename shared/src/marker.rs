//! Markers: the records that end a run, one on every partition of the run's topics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cursor::Shape;
use crate::record::Kind;

/// What a run's end says on one partition. Its key names the run, so compaction keeps every run's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The run that ended.
    pub run: u32,
    /// What shaped it.
    #[serde(flatten)]
    pub shape: Shape,
    /// The last run before it that ended; those between were abandoned.
    pub previous_ended: Option<u32>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// How many partitions of each kind's topic the run wrote to, and so how many markers it has.
    pub partitions: BTreeMap<Kind, i32>,
    /// How many records it published to this marker's partition.
    pub published: u64,
    /// How many pages it published, `/domains` included.
    pub pages: u32,
    /// How many objects it saw.
    pub objects: u64,
    /// How many objects it could not make a record.
    pub unkeyed: u64,
    /// How many objects it stepped over because no answer that held them could be had.
    pub skipped: u64,
    /// How many assets `/domains` declared for each domain.
    pub declared: BTreeMap<String, u64>,
    /// How many assets it published for each domain.
    pub seen: BTreeMap<String, u64>,
}
