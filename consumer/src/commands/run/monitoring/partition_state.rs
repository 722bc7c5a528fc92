//! The state of an assigned partition.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::model::partition::Partition;
use crate::model::stages::Stage;
use crate::model::topic::TopicPartition;

/// An end that was not read for this long means that Kafka does not answer. It is read every ten seconds.
const END_OUTDATED: Duration = Duration::from_secs(25);

/// The state of an assigned partition.
#[derive(Clone, Debug)]
pub(super) struct PartitionState {
    pub(super) topic_partition: TopicPartition,
    pub(super) position: i64,
    /// The end of the committed records.
    pub(super) end: Option<i64>,
    /// When the end was last read, or when the partition was assigned.
    pub(super) end_at: Instant,
    /// Whether a batch is in flight.
    pub(super) in_flight: bool,
    /// Whether there is a batch in flight, a received record, or the end of a transaction to skip.
    pub(super) is_busy: bool,
    /// When the oldest received record that is not applied was observed. Between two batches, that of the last batch.
    pub(super) oldest: Option<OffsetDateTime>,
    /// Since when there is something to apply.
    pub(super) behind: Option<Instant>,
    /// Since when there is something to apply without a batch in flight.
    pub(super) queued: Option<Instant>,
    /// Since when a record of a newer schema comes next.
    pub(super) newer: Option<Instant>,
    /// Since when the database is down, as its batch sees it.
    pub(super) database_down: Option<Instant>,
    /// The stage of the batch in flight.
    pub(super) stage: Option<(Stage, Instant)>,
    /// When the position last moved, there was nothing to apply, or a named wait was allowed.
    pub(super) progress: Instant,
}

impl PartitionState {
    pub(super) fn new(partition: &Partition, now: Instant) -> Self {
        Self {
            topic_partition: partition.topic_partition.clone(),
            position: partition.position,
            end: None,
            end_at: now,
            in_flight: false,
            is_busy: false,
            oldest: None,
            behind: None,
            queued: None,
            newer: None,
            database_down: None,
            stage: None,
            progress: now,
        }
    }

    /// Records what the loop sees.
    pub(super) fn observe(&mut self, now: Instant, partition: &Partition) {
        let has_moved = partition.position != self.position;
        if has_moved {
            (self.position, self.progress) = (partition.position, now);
        }
        self.is_busy = partition.has_work();
        self.newer = partition.newer.map(|_| self.newer.unwrap_or(now));
        let in_flight = partition.in_flight;
        self.in_flight = in_flight;
        self.database_down = partition.handle.down_since().filter(|_| in_flight);
        self.stage = partition.handle.stages().current().filter(|_| in_flight);
        self.behind = self.has_work().then(|| self.behind.unwrap_or(now));
        // A batch may begin and end between two looks.
        let queued = self.queued.filter(|_| !has_moved);
        self.queued = (self.has_work() && !in_flight).then(|| queued.unwrap_or(now));
        // Between two batches, the next record is hardly newer than the last one that was received.
        let oldest = partition.oldest_observed_at().or(self.oldest);
        self.oldest = oldest.filter(|_| self.behind.is_some());
    }

    /// Whether there is something to apply.
    pub(super) fn has_work(&self) -> bool {
        self.is_busy || self.newer.is_some() || self.lag().is_some_and(|lag| lag > 0)
    }

    /// Whether its batch uses a connection, or has failed and will be repeated. A batch that fails again and again spends
    /// most of its time between two attempts.
    pub(super) const fn is_working(&self) -> bool {
        self.in_flight && !matches!(self.stage, Some((Stage::Decode | Stage::Connection, _)))
    }

    /// Whether Kafka has not reported its end for too long.
    pub(super) fn has_outdated_end(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.end_at) >= END_OUTDATED
    }

    /// The offsets up to the end, once it is known.
    pub(super) fn lag(&self) -> Option<i64> {
        self.end.map(|end| (end - self.position).max(0))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::topic::TopicKind;

    /// An assigned partition of the topic of dead letters without anything to apply.
    pub(crate) fn partition(number: i32, now: Instant) -> PartitionState {
        let name = TopicPartition {
            kind: TopicKind::DeadLetters,
            topic: "socrata.dead-letters".to_owned(),
            partition: number,
        };
        PartitionState::new(&Partition::new(name, 0, 1), now)
    }
}
