//! A partition that is read up to a goal.

use std::time::Instant;

use crate::batch::{Batch, Place};
use crate::consume::partition::Partition;

/// A partition on its way to a goal.
pub(super) struct Track {
    pub(super) partition: Partition,
    goal: i64,
    /// Whether all that lies before the goal has been received.
    arrived: bool,
}

impl Track {
    pub(super) fn new(place: Place, position: i64) -> Self {
        Self { partition: Partition::new(place, position, 0), goal: position, arrived: true }
    }

    /// Sets a new goal; tells whether there is something left to read.
    pub(super) fn aim(&mut self, goal: i64) -> bool {
        self.goal = goal.max(self.partition.position);
        self.arrived = self.left() == 0;
        !self.arrived
    }

    /// How many offsets are left until the goal.
    pub(super) const fn left(&self) -> i64 {
        self.goal - self.partition.position
    }

    /// Whether a record is none of ours: the live tables may not hold it yet.
    pub(super) const fn lies_beyond(&self, offset: i64) -> bool {
        offset >= self.goal
    }

    /// The partition was received up to this offset; tells whether that reaches the goal just now.
    pub(super) const fn received_to(&mut self, offset: i64) -> bool {
        let news = !self.arrived && offset >= self.goal;
        self.arrived |= news;
        news
    }

    /// Whether fetching has to be paused (true) or resumed (false); none where it is as it should be.
    pub(super) fn pause_changes(&self) -> Option<bool> {
        if self.arrived { None } else { self.partition.pause_changes() }
    }

    /// The next batch, if there is one and none in flight. The last one has no records: it goes past what is
    /// none to the goal.
    pub(super) fn next_batch(&mut self, batch_size: usize, now: Instant) -> Option<Batch> {
        let due =
            if self.arrived { !self.partition.in_flight } else { self.partition.is_due(batch_size, now) };
        if !due {
            return None;
        }
        let batch = self.partition.take_batch(batch_size, now);
        if self.arrived { batch.or_else(|| self.partition.take_step(self.goal)) } else { batch }
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::Kind;

    use super::*;
    use crate::batch::TopicKind;
    use crate::consume::received::Received;

    fn track(goal: i64, offsets: &[i64], now: Instant) -> Track {
        let place = Place { kind: TopicKind::Data(Kind::Hosts), topic: "socrata.hosts".into(), partition: 0 };
        let mut track = Track::new(place, 10);
        assert!(track.aim(goal));
        for offset in offsets {
            let headers = None::<&rdkafka::message::OwnedHeaders>;
            track.partition.push(Received::read(*offset, headers).unwrap(), now);
        }
        track
    }

    #[test]
    fn a_track_ends_at_its_goal_wherever_the_next_record_lies() {
        let now = Instant::now();
        let mut track = track(15, &[10, 12], now);
        assert!(!track.lies_beyond(14) && track.lies_beyond(15));
        assert!(track.next_batch(3, now).is_none());
        assert!(track.received_to(40) && !track.received_to(41));
        let batch = track.next_batch(3, now).unwrap();
        assert_eq!((batch.from, batch.to, batch.records.len()), (10, 13, 2));
        assert!(track.next_batch(3, now).is_none());
        track.partition.applied(13);
        let step = track.next_batch(3, now).unwrap();
        assert_eq!((step.from, step.to, step.records.len()), (13, 15, 0));
        track.partition.applied(15);
        assert!(track.next_batch(3, now).is_none());
        assert_eq!(track.left(), 0);
    }

    #[test]
    fn a_track_never_goes_back() {
        let mut track = track(15, &[], Instant::now());
        track.partition.applied(15);
        assert!(!track.aim(12));
        assert!(track.aim(16));
    }
}
