//! The replay of one partition up to its target offset.

use std::time::Instant;

use anyhow::bail;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::config::thresholds::BatchSettings;
use crate::decode::Dead;
use crate::decode::row_key::{Head, RowId};
use crate::kafka::reader::{self, TopicReader};
use crate::model::batch::Batch;
use crate::model::partition::Partition;
use crate::model::stages::Stages;
use crate::model::topic::TopicPartition;
use crate::store::apply::{Failure, Outcome, apply};
use crate::store::published_decisions::PublishedDecisions;

/// A partition and its target offset.
pub(super) struct PartitionReplay {
    pub(super) partition: Partition,
    target: i64,
    /// Whether everything before the target was received.
    received_all: bool,
}

impl PartitionReplay {
    pub(super) fn new(topic_partition: TopicPartition, position: i64) -> Self {
        Self { partition: Partition::new(topic_partition, position, 0), target: position, received_all: true }
    }

    /// Sets a new target. Returns whether there is something left to read.
    pub(super) fn set_target(&mut self, target: i64) -> bool {
        self.target = target.max(self.partition.position);
        self.received_all = self.left() == 0;
        !self.received_all
    }

    /// The number of offsets left before the target.
    pub(super) const fn left(&self) -> i64 {
        self.target - self.partition.position
    }

    /// Whether an offset is at or beyond the target, where the live tables may not contain the record yet.
    pub(super) const fn is_beyond_target(&self, offset: i64) -> bool {
        offset >= self.target
    }

    /// Stores that the partition was received up to this offset. Returns whether that has just reached the target.
    pub(super) const fn received_to(&mut self, offset: i64) -> bool {
        let has_just_reached = !self.received_all && offset >= self.target;
        self.received_all |= has_just_reached;
        has_just_reached
    }

    /// Whether fetching must be paused (true) or resumed (false); `None` if nothing changes.
    pub(super) fn pause_changes(&self) -> Option<bool> {
        if self.received_all { None } else { self.partition.pause_changes() }
    }

    /// Stops fetching the partition.
    pub(super) fn pause(&self, reader: &TopicReader) -> anyhow::Result<()> {
        let TopicPartition { topic, partition, .. } = &self.partition.topic_partition;
        reader::pause(reader, topic, *partition)
    }

    /// The next batch, if one is due and none is in flight. The last one may have no records: it moves the position past
    /// offsets without records to the target.
    pub(super) fn next_batch(&mut self, batch_size: usize, now: Instant) -> Option<Batch> {
        let is_due = if self.received_all {
            !self.partition.in_flight
        } else {
            self.partition.is_due(batch_size, now)
        };
        if !is_due {
            return None;
        }
        let batch = self.partition.take_batch(batch_size, now);
        if self.received_all { batch.or_else(|| self.partition.empty_batch_to(self.target)) } else { batch }
    }
}

/// A batch that was applied to the shadow.
pub(crate) struct AppliedBatch {
    pub(crate) topic_partition: TopicPartition,
    /// The new position of its partition.
    pub(crate) to: i64,
    /// The rows of its records that became dead letters.
    pub(crate) unapplied: Vec<RowId>,
}

/// Applies a batch.
pub(crate) async fn apply_to_shadow(
    pool: &PgPool,
    permits: &Semaphore,
    batch: Batch,
    settings: BatchSettings,
) -> anyhow::Result<AppliedBatch> {
    // The topic's decisions were merged before, and the shadow has a copy of them.
    let published = PublishedDecisions::default();
    match apply(pool, permits, &batch, settings, &Stages::default(), &published).await {
        Ok(Outcome::Applied { dead, .. }) => {
            let unapplied = rows(&batch, &dead);
            Ok(AppliedBatch { topic_partition: batch.topic_partition, to: batch.to, unapplied })
        }
        Ok(Outcome::Stale { .. } | Outcome::Abandoned) => bail!("another program has written to the shadow"),
        Err(Failure { error, .. }) => Err(error),
    }
}

/// The rows of dead letters, as far as these have one.
fn rows(batch: &Batch, dead: &[Dead]) -> Vec<RowId> {
    let record = |dead: &Dead| batch.records.iter().find(|record| record.offset == dead.offset);
    dead.iter().filter_map(|dead| Head::of(record(dead)?).find_row(batch.topic_partition.kind)).collect()
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::record::Record;
    use crate::model::topic::TopicKind;

    fn replay(target: i64, offsets: &[i64], now: Instant) -> PartitionReplay {
        let topic_partition = TopicPartition {
            kind: TopicKind::Data(RecordType::Hosts),
            topic: "socrata.hosts".into(),
            partition: 0,
        };
        let mut replay = PartitionReplay::new(topic_partition, 10);
        assert!(replay.set_target(target));
        for offset in offsets {
            let headers = None::<&rdkafka::message::OwnedHeaders>;
            replay.partition.push(Record::read(*offset, headers).unwrap(), now);
        }
        replay
    }

    #[test]
    fn a_replay_ends_at_its_target_wherever_the_next_record_is() {
        let now = Instant::now();
        let mut replay = replay(15, &[10, 12], now);
        assert!(!replay.is_beyond_target(14) && replay.is_beyond_target(15));
        assert!(replay.next_batch(3, now).is_none());
        assert!(replay.received_to(40) && !replay.received_to(41));
        let batch = replay.next_batch(3, now).unwrap();
        assert_eq!((batch.from, batch.to, batch.records.len()), (10, 13, 2));
        assert!(replay.next_batch(3, now).is_none());
        replay.partition.applied(13);
        let step = replay.next_batch(3, now).unwrap();
        assert_eq!((step.from, step.to, step.records.len()), (13, 15, 0));
        replay.partition.applied(15);
        assert!(replay.next_batch(3, now).is_none());
        assert_eq!(replay.left(), 0);
    }

    #[test]
    fn a_replay_never_goes_back() {
        let mut replay = replay(15, &[], Instant::now());
        replay.partition.applied(15);
        assert!(!replay.set_target(12));
        assert!(replay.set_target(16));
    }
}
