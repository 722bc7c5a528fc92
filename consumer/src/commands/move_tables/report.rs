//! The report of a move, as text or JSON.

use std::fmt;

use catalog_shared::region::Region;
use serde::Serialize;

use super::plan::{AbandonedRun, Changed};

/// The result of a move.
#[derive(Debug, Serialize)]
pub(super) struct MoveSummary {
    pub(super) brokers: String,
    pub(super) topic_prefix: String,
    /// The topic that was moved; null if all topics were.
    pub(super) topic: Option<String>,
    pub(super) regions: Vec<Continued>,
    pub(super) partitions: Vec<Started>,
    #[serde(flatten)]
    pub(super) changed: Changed,
    /// Whether all decisions are published to the new topic; if not, the next consumer publishes the rest.
    pub(super) verdicts_published: bool,
}

/// The run number that a region continues from.
#[derive(Debug, Serialize)]
pub(super) struct Continued {
    pub(super) region: Region,
    /// The last known run.
    pub(super) run: u32,
    /// Whether the cursor was written.
    pub(super) cursor_written: bool,
}

/// The start of a partition.
#[derive(Debug, Serialize)]
pub(super) struct Started {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) position: i64,
}

impl fmt::Display for MoveSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topic {
            None => write!(f, "Moved to the topics {}… on {}.", self.topic_prefix, self.brokers)?,
            Some(topic) => write!(f, "Moved to the new topic {topic} on {}.", self.brokers)?,
        }
        write!(f, " Rows, retirements and decisions are unchanged.")?;
        for Continued { region, run, .. } in &self.regions {
            write!(f, "\n  {region}: the last run is {run}, and the next crawl gets a higher number")?;
        }
        for Started { topic, partition, position } in &self.partitions {
            write!(f, "\n  {topic}[{partition}] starts at {position}")?;
        }
        for AbandonedRun { region, run } in &self.changed.abandoned {
            write!(
                f,
                "\n  run {run} of {region} is abandoned, because its remaining records are in the old topics"
            )?;
        }
        if self.changed.dead_letters > 0 {
            write!(f, "\n  {} dead letters belong to the old topics", self.changed.dead_letters)?;
        }
        if !self.verdicts_published {
            write!(f, "\n  not all decisions are published yet; the next consumer publishes the rest")?;
        }
        write!(f, "\nNext: crawl each region once without --since, then start the consumers.")
    }
}
