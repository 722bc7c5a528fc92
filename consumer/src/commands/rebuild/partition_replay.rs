//! A partition that is read up to a end.

use std::time::Instant;

use crate::model::batch::Batch;
use crate::model::partition::Partition;
use crate::model::topic::TopicPartition;

/// A partition on its way to a end.
pub(super) struct PartitionReplay {
    pub(super) partition: Partition,
    end: i64,
    /// Whether all that lies before the end has been received.
    arrived: bool,
}

impl PartitionReplay {
    pub(super) fn new(place: TopicPartition, position: i64) -> Self {
        Self { partition: Partition::new(place, position, 0), end: position, arrived: true }
    }

    /// Sets a new end; tells whether there is something left to read.
    pub(super) fn assign(&mut self, end: i64) -> bool {
        self.end = end.max(self.partition.position);
        self.arrived = self.left() == 0;
        !self.arrived
    }

    /// How many offsets are left until the end.
    pub(super) const fn left(&self) -> i64 {
        self.end - self.partition.position
    }

    /// Whether a record is none of ours: the live tables may not hold it yet.
    pub(super) const fn lies_beyond(&self, offset: i64) -> bool {
        offset >= self.end
    }

    /// The partition was received up to this offset; tells whether that reaches the end just now.
    pub(super) const fn received_to(&mut self, offset: i64) -> bool {
        let news = !self.arrived && offset >= self.end;
        self.arrived |= news;
        news
    }

    /// Whether fetching has to be paused (true) or resumed (false); none where it is as it should be.
    pub(super) fn pause_changes(&self) -> Option<bool> {
        if self.arrived { None } else { self.partition.pause_changes() }
    }

    /// The next batch, if there is one and none in flight. The last one has no records: it goes past what is
    /// none to the end.
    pub(super) fn next_batch(&mut self, batch_size: usize, now: Instant) -> Option<Batch> {
        let due =
            if self.arrived { !self.partition.in_flight } else { self.partition.is_due(batch_size, now) };
        if !due {
            return None;
        }
        let batch = self.partition.take_batch(batch_size, now);
        if self.arrived { batch.or_else(|| self.partition.take_step(self.end)) } else { batch }
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::record::Record;
    use crate::model::topic::TopicKind;

    fn replay(end: i64, offsets: &[i64], now: Instant) -> PartitionReplay {
        let place = TopicPartition {
            kind: TopicKind::Data(RecordType::Hosts),
            topic: "socrata.hosts".into(),
            partition: 0,
        };
        let mut replay = PartitionReplay::new(place, 10);
        assert!(replay.assign(end));
        for offset in offsets {
            let headers = None::<&rdkafka::message::OwnedHeaders>;
            replay.partition.push(Record::read(*offset, headers).unwrap(), now);
        }
        replay
    }

    #[test]
    fn a_track_ends_at_its_goal_wherever_the_next_record_lies() {
        let now = Instant::now();
        let mut replay = replay(15, &[10, 12], now);
        assert!(!replay.lies_beyond(14) && replay.lies_beyond(15));
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
    fn a_track_never_goes_back() {
        let mut replay = replay(15, &[], Instant::now());
        replay.partition.applied(15);
        assert!(!replay.assign(12));
        assert!(replay.assign(16));
    }
}
