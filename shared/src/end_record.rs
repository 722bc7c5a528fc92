//! End-of-run records, one on every partition of the run's topics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cursor::RunParameters;
use crate::missed::Missed;
use crate::record::RecordType;

/// The end-of-run record of one partition. Its key contains the run, so compaction keeps the records of all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// The run that ended.
    pub run: u32,
    /// The parameters of the run.
    #[serde(flatten)]
    pub parameters: RunParameters,
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
    /// How many objects it saw, those that became dead letters included.
    pub objects: u64,
    /// What it could not read.
    #[serde(flatten)]
    pub missed: Missed,
    /// How many assets `/domains` declared for each domain.
    pub declared: BTreeMap<String, u64>,
    /// How many assets it published for each domain.
    pub seen: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consumers of other builds read it.
    #[test]
    fn the_members_of_an_end_of_run_record_keep_their_names_and_their_order() {
        let json = concat!(
            r#"{"run":7,"mode":"full","kinds":["hosts"],"api_url":"x","since":null,"limit":null,"domains":[],"#,
            r#""from":null,"previous_ended":6,"started_at":"2026-01-01T00:00:00Z","#,
            r#""ended_at":"2026-01-01T00:00:00Z","partitions":{"hosts":1},"published":1,"pages":2,"objects":3,"#,
            r#""unkeyed":4,"skipped":1,"bad_domains":1,"unkeyed_by":{"a.example":2},"#,
            r#""unread_ids":["aaaa-aaaa"],"declared":{},"seen":{}}"#,
        );
        let record: EndRecord = serde_json::from_str(json).unwrap();
        assert_eq!(record.missed.unknown(), 1);
        assert_eq!(serde_json::to_string(&record).unwrap(), json);
    }
}
