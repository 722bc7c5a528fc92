//! What the new topics hold already, and where each partition starts because of that.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use catalog_shared::cursors::{self, TIMEOUT};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::region::Region;
use catalog_shared::watermarks::watermarks;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::known::Known;
use crate::model::record::Record;
use crate::model::topic::TopicPartition;

type ScanClient = BaseConsumer<LogContext>;

/// What a partition holds.
#[derive(Debug)]
pub(super) struct PartitionContents {
    pub(super) place: TopicPartition,
    low: i64,
    /// The end, as readers of committed records see it.
    end: i64,
    /// Whether it holds records of runs that the tables know.
    has_known: bool,
    /// The first record of a run that the tables don't know.
    first_new: Option<i64>,
    /// The highest run of each region.
    pub(super) highest: BTreeMap<Region, u32>,
}

impl PartitionContents {
    /// Where the tables start here. Records of runs up to the last known one are of another history, or are applied
    /// already, so they are left out.
    pub(super) fn start(&self) -> i64 {
        let otherwise = if self.has_known { self.end } else { self.low };
        self.first_new.unwrap_or(otherwise)
    }

    fn take(&mut self, offset: i64, (region, run): (Region, u32), known: &Known) {
        let highest = self.highest.entry(region).or_default();
        *highest = run.max(*highest);
        if run <= known.get(&region).copied().unwrap_or_default() {
            self.has_known = true;
        } else if self.first_new.is_none() {
            self.first_new = Some(offset);
        }
    }
}

/// Reads all records of some partitions.
///
/// # Errors
/// What Kafka says.
pub(super) async fn read(
    kafka: &KafkaArgs,
    places: Vec<TopicPartition>,
    known: &Known,
) -> anyhow::Result<Vec<PartitionContents>> {
    let (config, known) = (cursors::client_config(kafka, "read_committed")?, known.clone());
    let read = move || {
        let reader: ScanClient = kafka::create(&config, LogContext::default())?;
        places.into_iter().map(|place| read_one(&reader, place, &known)).collect()
    };
    spawn_blocking(read).await?
}

fn read_one(reader: &ScanClient, place: TopicPartition, known: &Known) -> anyhow::Result<PartitionContents> {
    let name = format!("{}[{}]", place.topic, place.partition);
    let (low, end) = watermarks(reader, &place.topic, place.partition)
        .with_context(|| format!("can't read the end of {name}"))?;
    let mut held =
        PartitionContents { place, low, end, has_known: false, first_new: None, highest: BTreeMap::new() };
    if low == end {
        return Ok(held);
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&held.place.topic, held.place.partition, Offset::Offset(low))?;
    reader.assign(&list)?;
    loop {
        match reader.poll(TIMEOUT) {
            Some(Ok(message)) => {
                if let Some(run) = run_of(&message) {
                    held.take(message.offset(), run, known);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(held),
            Some(Err(KafkaError::MessageConsumption(error))) => tracing::debug!(%error, "reading {name}"),
            Some(Err(error)) => return Err(error).with_context(|| format!("can't read {name}")),
            None => bail!("can't read {name}: Kafka does not answer"),
        }
    }
}

/// The run of a record; none where its headers don't say.
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
        let place = TopicPartition {
            kind: TopicKind::Data(RecordType::Hosts),
            topic: "socrata.hosts".into(),
            partition: 0,
        };
        let mut held = PartitionContents {
            place,
            low: 2,
            end: 9,
            has_known: false,
            first_new: None,
            highest: BTreeMap::new(),
        };
        let known = Known::from([(Region::Us, 5)]);
        (3..).zip(runs).for_each(|(offset, run)| held.take(offset, (Region::Us, *run), &known));
        held.start()
    }

    #[test]
    fn a_partition_starts_behind_what_the_tables_know() {
        assert_eq!(start(&[]), 2);
        assert_eq!(start(&[1, 5]), 9);
        assert_eq!(start(&[5, 6, 7]), 4);
        assert_eq!(start(&[6]), 3);
    }
}
