//! A partition that is ours: what was received of it and not applied yet, and where it stands.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// How long a record may wait for others to share its transaction.
const LINGER: Duration = Duration::from_millis(100);
/// How many bytes of records make a batch full.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// From how many waiting bytes on a partition is paused, and down to how many. In between lie several
/// batches, for what was fetched ahead is fetched again after a pause.
const PAUSE_BYTES: usize = 8 * 1024 * 1024;
const RESUME_BYTES: usize = 2 * 1024 * 1024;

/// A record that only a newer build can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewerRecord {
    pub(crate) offset: i64,
    pub(crate) schema: u32,
}

/// An assigned partition.
pub(crate) struct Partition {
    pub(crate) place: TopicPartition,
    /// Where the tables stand.
    pub(crate) position: i64,
    /// Tells the batches of this assignment from those of one before.
    pub(crate) epoch: u64,
    /// Whether a batch is being applied; there is one at a time.
    pub(crate) in_flight: bool,
    /// Where the fetching has to start again, until it has.
    pub(crate) seek_to: Option<i64>,
    /// The record of a newer schema that comes next, if there is one: the partition waits for an upgrade.
    pub(crate) newer: Option<NewerRecord>,
    /// What ties it to its batch in flight.
    pub(crate) handle: BatchHandle,
    /// Whether fetching it is paused.
    pub(crate) paused: bool,
    records: VecDeque<Record>,
    bytes: usize,
    oldest: Option<Instant>,
}

impl Partition {
    pub(crate) fn new(place: TopicPartition, position: i64, epoch: u64) -> Self {
        Self {
            place,
            position,
            epoch,
            in_flight: false,
            seek_to: None,
            newer: None,
            handle: BatchHandle::default(),
            paused: false,
            records: VecDeque::new(),
            bytes: 0,
            oldest: None,
        }
    }

    /// Whether records are taken: not while what comes is from before a seek, or may not be read.
    pub(crate) const fn flows(&self) -> bool {
        self.seek_to.is_none() && self.newer.is_none()
    }

    /// Takes a record.
    pub(crate) fn push(&mut self, record: Record, now: Instant) {
        self.bytes += record.bytes();
        self.oldest.get_or_insert(now);
        self.records.push_back(record);
    }

    /// Whether fetching has to be paused (true) or resumed (false); none where it is as it should be.
    pub(crate) fn pause_changes(&self) -> Option<bool> {
        let should = self.newer.is_some()
            || self.handle.waits()
            || self.bytes >= PAUSE_BYTES
            || (self.paused && self.bytes > RESUME_BYTES);
        if should == self.paused { None } else { Some(should) }
    }

    /// The record of a newer schema that it waits for, once all before that is applied.
    pub(crate) fn stuck_at(&self) -> Option<NewerRecord> {
        self.newer.filter(|_| !self.in_flight && self.records.is_empty())
    }

    /// Since when its oldest record waits.
    pub(crate) const fn waits_since(&self) -> Option<Instant> {
        self.oldest
    }

    /// Whether there is a batch to apply: a full one, or one that has waited long enough.
    pub(crate) fn is_due(&self, batch_size: usize, now: Instant) -> bool {
        let full = self.records.len() >= batch_size || self.bytes >= BATCH_BYTES;
        let waited = self.oldest.is_some_and(|oldest| now.duration_since(oldest) >= LINGER);
        !self.in_flight && (full || waited)
    }

    /// The next batch; it is in flight then.
    pub(crate) fn take_batch(&mut self, batch_size: usize, now: Instant) -> Option<Batch> {
        let (mut count, mut bytes) = (0, 0);
        while count < batch_size.min(self.records.len()) && bytes < BATCH_BYTES {
            bytes += self.records[count].bytes();
            count += 1;
        }
        let records: Vec<Record> = self.records.drain(..count).collect();
        self.bytes -= bytes;
        self.oldest = (!self.records.is_empty()).then_some(now);
        let to = records.last()?.offset + 1;
        Some(self.send(to, records))
    }

    /// A batch without records, if Kafka has been read further than the last record: the end of a
    /// transaction takes an offset too.
    pub(crate) fn take_step(&mut self, read_to: i64) -> Option<Batch> {
        let idle = self.flows() && !self.in_flight && self.records.is_empty() && read_to > self.position;
        idle.then(|| self.send(read_to, Vec::new()))
    }

    fn send(&mut self, to: i64, records: Vec<Record>) -> Batch {
        self.in_flight = true;
        Batch { place: self.place.clone(), from: self.position, to, records }
    }

    /// A batch was applied.
    pub(crate) const fn applied(&mut self, to: i64) {
        self.in_flight = false;
        self.position = to;
    }

    /// Drops what was not handed over, and lets the batch in flight be tried no more.
    pub(crate) fn clear(&mut self) {
        self.handle.stop();
        self.records.clear();
        (self.bytes, self.oldest) = (0, None);
    }

    /// Somebody else has moved the position: what was received may be applied already, so it is dropped
    /// and fetched again from there.
    pub(crate) fn restart(&mut self, position: i64) {
        let paused = self.paused;
        *self =
            Self { seek_to: Some(position), paused, ..Self::new(self.place.clone(), position, self.epoch) };
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::topic::TopicKind;

    fn partition(offsets: &[i64], now: Instant) -> Partition {
        let kind = TopicKind::Data(RecordType::Hosts);
        let place = TopicPartition { kind, topic: "socrata.hosts".into(), partition: 0 };
        let mut partition = Partition::new(place, 10, 1);
        for offset in offsets {
            let headers = None::<&rdkafka::message::OwnedHeaders>;
            partition.push(Record::read(*offset, headers).unwrap(), now);
        }
        partition
    }

    #[test]
    fn batches_are_due_when_full_or_old_and_one_at_a_time() {
        let now = Instant::now();
        let mut partition = partition(&[10, 11, 15], now);
        assert!(!partition.is_due(4, now));
        assert!(partition.is_due(4, now + LINGER));
        assert!(partition.is_due(2, now));
        let batch = partition.take_batch(2, now).unwrap();
        assert_eq!((batch.from, batch.to, batch.records.len()), (10, 12, 2));
        assert!(!partition.is_due(1, now + LINGER));
        partition.applied(12);
        let rest = partition.take_batch(2, now).unwrap();
        assert_eq!((rest.from, rest.to, partition.bytes), (12, 16, 0));
    }

    #[test]
    fn steps_past_what_is_no_record_wait_for_the_records() {
        let now = Instant::now();
        let mut partition = partition(&[10], now);
        assert!(partition.take_step(12).is_none());
        partition.take_batch(1, now).unwrap();
        assert!(partition.take_step(12).is_none());
        partition.applied(11);
        let step = partition.take_step(12).unwrap();
        assert_eq!((step.from, step.to), (11, 12));
    }

    #[test]
    fn after_a_restart_nothing_moves_until_the_seek_is_done() {
        let mut partition = partition(&[10, 11], Instant::now());
        partition.restart(40);
        assert!(!partition.flows());
        assert!(partition.take_step(50).is_none());
        assert_eq!((partition.position, partition.bytes), (40, 0));
    }

    #[test]
    fn a_partition_is_paused_when_full_and_resumed_when_nearly_empty() {
        let mut partition = partition(&[], Instant::now());
        assert_eq!(partition.pause_changes(), None);
        partition.bytes = PAUSE_BYTES;
        assert_eq!(partition.pause_changes(), Some(true));
        partition.paused = true;
        partition.bytes = RESUME_BYTES + 1;
        assert_eq!(partition.pause_changes(), None);
        partition.bytes = RESUME_BYTES;
        assert_eq!(partition.pause_changes(), Some(false));
        partition.newer = Some(NewerRecord { offset: 10, schema: 2 });
        assert_eq!(partition.pause_changes(), None);
    }

    #[test]
    fn a_newer_schema_is_what_holds_a_partition_up_once_all_before_it_is_applied() {
        let now = Instant::now();
        let mut partition = partition(&[10], now);
        let newer = NewerRecord { offset: 11, schema: 2 };
        partition.newer = Some(newer);
        assert_eq!(partition.stuck_at(), None);
        partition.take_batch(1, now).unwrap();
        assert_eq!(partition.stuck_at(), None);
        partition.applied(11);
        assert_eq!(partition.stuck_at(), Some(newer));
    }

    #[test]
    fn a_partition_whose_batch_waits_for_the_database_is_paused() {
        let mut partition = partition(&[], Instant::now());
        partition.handle.set_waits(true);
        assert_eq!(partition.pause_changes(), Some(true));
        partition.paused = true;
        partition.handle.set_waits(false);
        assert_eq!(partition.pause_changes(), Some(false));
    }
}
