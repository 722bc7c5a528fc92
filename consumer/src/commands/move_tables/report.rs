//! What a move did, for people or for programs.

use std::fmt;

use catalog_shared::region::Region;
use serde::Serialize;

use super::plan::Changed;

/// What was done.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) brokers: String,
    pub(super) topic_prefix: String,
    /// The only topic that was moved; none if all were.
    pub(super) topic: Option<String>,
    pub(super) regions: Vec<Continued>,
    pub(super) partitions: Vec<Started>,
    #[serde(flatten)]
    pub(super) changed: Changed,
    /// Whether the new topic has all verdicts; if not, the next consumer publishes the rest.
    pub(super) verdicts_published: bool,
}

/// Where a region's numbers go on.
#[derive(Debug, Serialize)]
pub(super) struct Continued {
    pub(super) region: Region,
    /// The last run that the tables know.
    pub(super) run: u32,
    /// Whether the cursor was written.
    pub(super) cursor_written: bool,
}

/// Where a partition starts.
#[derive(Debug, Serialize)]
pub(super) struct Started {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) position: i64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topic {
            None => write!(f, "Moved to the topics {}… on {}.", self.topic_prefix, self.brokers)?,
            Some(topic) => write!(f, "Moved to the new topic {topic} on {}.", self.brokers)?,
        }
        write!(f, " Rows, retirements and decisions are as they were.")?;
        for Continued { region, run, .. } in &self.regions {
            write!(f, "\n  {region}: the last run is {run}; the next crawl is a later one")?;
        }
        for Started { topic, partition, position } in &self.partitions {
            write!(f, "\n  {topic}[{partition}] starts at {position}")?;
        }
        for given_up in &self.changed.given_up {
            let (region, run) = (&given_up.region, given_up.run);
            write!(f, "\n  run {run} of {region} is abandoned: the rest of it was left behind")?;
        }
        if self.changed.dead_letters > 0 {
            write!(f, "\n  {} dead letters are of the old topics", self.changed.dead_letters)?;
        }
        if !self.verdicts_published {
            write!(f, "\n  not all verdicts are published yet: the next consumer goes on")?;
        }
        write!(f, "\nNext: crawl each region once without --since, then start the consumers.")
    }
}
