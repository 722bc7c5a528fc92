//! Scans the records that the new topics already contain, to find where each partition starts.

use std::collections::BTreeMap;

use anyhow::Context;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::partition_reader::{self, Isolation, PartitionReader};
use catalog_shared::region::Region;
use catalog_shared::watermarks::watermarks;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::task::spawn_blocking;

use super::known::KnownRuns;
use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// The contents of a partition.
#[derive(Debug)]
pub(super) struct PartitionContents {
    pub(super) topic_partition: TopicPartition,
    low: i64,
    /// The end offset of committed records.
    end: i64,
    /// Whether it contains records of known runs.
    has_known: bool,
    /// The offset of the first record of an unknown run.
    first_new: Option<i64>,
    /// The highest run of each region.
    pub(super) highest: BTreeMap<Region, u32>,
}

impl PartitionContents {
    /// The start of the tables in this partition. Records of known runs are skipped, because they are already applied or
    /// belong to another history.
    pub(super) fn start(&self) -> i64 {
        let without_new = if self.has_known { self.end } else { self.low };
        self.first_new.unwrap_or(without_new)
    }

    fn add(&mut self, offset: i64, (region, run): (Region, u32), known: &KnownRuns) {
        let highest = self.highest.entry(region).or_default();
        *highest = run.max(*highest);
        if run <= known.get(&region).copied().unwrap_or_default() {
            self.has_known = true;
        } else if self.first_new.is_none() {
            self.first_new = Some(offset);
        }
    }
}

/// Scans all records of some partitions.
///
/// # Errors
/// An error of Kafka.
pub(super) async fn scan(
    kafka: &KafkaArgs,
    topic_partitions: Vec<TopicPartition>,
    known: &KnownRuns,
) -> anyhow::Result<Vec<PartitionContents>> {
    let (config, known) = (partition_reader::config(kafka, Isolation::Committed)?, known.clone());
    let scan = move || {
        let reader: PartitionReader = kafka::create(&config, LogContext::default())?;
        topic_partitions
            .into_iter()
            .map(|topic_partition| scan_one(&reader, topic_partition, &known))
            .collect()
    };
    spawn_blocking(scan).await?
}

fn scan_one(
    reader: &PartitionReader,
    topic_partition: TopicPartition,
    known: &KnownRuns,
) -> anyhow::Result<PartitionContents> {
    let name = topic_partition.to_string();
    let (low, end) = watermarks(reader, &topic_partition.topic, topic_partition.partition)
        .with_context(|| format!("can't read the end of {name}"))?;
    let mut contents = PartitionContents {
        topic_partition,
        low,
        end,
        has_known: false,
        first_new: None,
        highest: BTreeMap::new(),
    };
    if low == end {
        return Ok(contents);
    }
    let TopicPartition { topic, partition, .. } = contents.topic_partition.clone();
    let add = |message: &BorrowedMessage<'_>| {
        if let Some(run) = run_of(message) {
            contents.add(message.offset(), run, known);
        }
    };
    partition_reader::read_to_end(reader, &topic, partition, low, add)
        .with_context(|| format!("can't read {name}"))?;
    Ok(contents)
}

/// The region and run of a record; `None` if its headers don't name them.
fn run_of(message: &BorrowedMessage<'_>) -> Option<(Region, u32)> {
    let record = Record::from_message(message).ok()?;
    record.stamp.ok().map(|stamp| (stamp.region, stamp.version.run)).or(record.origin)
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::topic::TopicKind;

    fn start(runs: &[u32]) -> i64 {
        let topic_partition = TopicPartition {
            kind: TopicKind::Data(RecordType::Hosts),
            topic: "socrata.hosts".into(),
            partition: 0,
        };
        let mut contents = PartitionContents {
            topic_partition,
            low: 2,
            end: 9,
            has_known: false,
            first_new: None,
            highest: BTreeMap::new(),
        };
        let known = KnownRuns::from([(Region::Us, 5)]);
        (3..).zip(runs).for_each(|(offset, run)| contents.add(offset, (Region::Us, *run), &known));
        contents.start()
    }

    #[test]
    fn a_partition_starts_after_the_known_runs() {
        assert_eq!(start(&[]), 2);
        assert_eq!(start(&[1, 5]), 9);
        assert_eq!(start(&[5, 6, 7]), 4);
        assert_eq!(start(&[6]), 3);
    }
}
