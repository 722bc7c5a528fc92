//! An assigned partition: its position, and its received records that are not applied yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use catalog_shared::events;
use time::OffsetDateTime;

use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::model::chunk::{Chunk, NewerRecord};
use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// How long a record may wait for others to share its transaction.
const LINGER: Duration = Duration::from_millis(100);
/// How many bytes of records make a batch full: about 1,800 of the largest usual records.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// The number of waiting bytes at which a partition is paused, and at which it is resumed. The difference is most of a
/// batch, because librdkafka discards what it has fetched ahead when a partition is paused.
const PAUSE_BYTES: usize = 10 * 1024 * 1024;
const RESUME_BYTES: usize = 4 * 1024 * 1024;

/// An assigned partition.
pub(crate) struct Partition {
    pub(crate) topic_partition: TopicPartition,
    /// The position in the tables: the offset of the next record to apply.
    pub(crate) position: i64,
    /// Changes with each assignment and each seek. Batches and chunks of another epoch don't count.
    pub(crate) epoch: u64,
    /// Whether a batch is being applied. There is at most one at a time.
    pub(crate) in_flight: bool,
    /// The offset of a pending seek.
    pub(crate) seek_to: Option<i64>,
    /// The record of a newer schema that comes next, if there is one: the partition waits for an upgrade.
    pub(crate) newer: Option<NewerRecord>,
    /// Shared with its batch in flight.
    pub(crate) handle: BatchHandle,
    /// Whether fetching it is paused.
    pub(crate) paused: bool,
    /// Every record below this offset was received.
    read_to: i64,
    records: VecDeque<Record>,
    bytes: usize,
    waiting_since: Option<Instant>,
    /// When the first record of the batch in flight was observed.
    in_flight_from: Option<OffsetDateTime>,
}

impl Partition {
    pub(crate) fn new(topic_partition: TopicPartition, position: i64, epoch: u64) -> Self {
        Self {
            topic_partition,
            position,
            epoch,
            in_flight: false,
            seek_to: None,
            newer: None,
            handle: BatchHandle::default(),
            paused: false,
            read_to: position,
            records: VecDeque::new(),
            bytes: 0,
            waiting_since: None,
            in_flight_from: None,
        }
    }

    /// Whether records are accepted: not while a seek is pending, and not after a record of a newer schema.
    pub(crate) const fn accepts_records(&self) -> bool {
        self.seek_to.is_none() && self.newer.is_none()
    }

    /// Accepts a chunk, unless it is from before the current assignment or the last seek.
    pub(crate) fn accept(&mut self, chunk: Chunk, now: Instant) -> bool {
        let accepted = chunk.epoch == self.epoch && self.accepts_records();
        if accepted {
            self.newer = chunk.newer;
            chunk.records.into_iter().for_each(|record| self.push(record, now));
        }
        accepted
    }

    /// Stores that every record below an offset was received in this epoch.
    pub(crate) fn advance_read_to(&mut self, epoch: u64, offset: i64) {
        if epoch == self.epoch && self.accepts_records() {
            self.read_to = self.read_to.max(offset);
        }
    }

    /// Completes the pending seek. Chunks of this new epoch were received after it.
    pub(crate) const fn seek_done(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.seek_to = None;
    }

    /// How many bytes of received records wait.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// Accepts a record.
    pub(crate) fn push(&mut self, record: Record, now: Instant) {
        self.bytes += record.bytes();
        self.waiting_since.get_or_insert(now);
        self.records.push_back(record);
    }

    /// Whether fetching must be paused (true) or resumed (false). `None` if nothing changes.
    pub(crate) fn pause_changes(&self) -> Option<bool> {
        let should = self.newer.is_some()
            || self.handle.waits()
            || self.bytes >= PAUSE_BYTES
            || (self.paused && self.bytes > RESUME_BYTES);
        if should == self.paused { None } else { Some(should) }
    }

    /// The record of a newer schema that blocks the partition, once all earlier records are applied.
    pub(crate) fn blocking_record(&self) -> Option<NewerRecord> {
        self.newer.filter(|_| !self.in_flight && self.records.is_empty())
    }

    /// Whether there is anything to apply: a batch in flight, waiting records, or the end of a transaction to skip.
    pub(crate) fn has_work(&self) -> bool {
        self.in_flight || !self.records.is_empty() || self.may_skip_to(self.read_to)
    }

    /// When the producer observed the oldest received record that is not applied yet.
    pub(crate) fn oldest_observed_at(&self) -> Option<OffsetDateTime> {
        let in_flight = self.in_flight_from.filter(|_| self.in_flight);
        in_flight.or_else(|| self.records.front().and_then(Record::observed_at))
    }

    /// When the partition began to wait: its first record was received, or its last batch was taken. This makes partitions
    /// take turns.
    pub(crate) const fn waits_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Whether there is a batch to apply: a full one, one that has waited long enough, or an end-of-run record.
    pub(crate) fn is_due(&self, batch_size: usize, now: Instant) -> bool {
        let full = self.records.len() >= batch_size || self.bytes >= BATCH_BYTES;
        let waited = self.waiting_since.is_some_and(|since| now.duration_since(since) >= LINGER);
        let ends = self.records.front().is_some_and(Record::ends_run);
        !self.in_flight && (full || waited || ends)
    }

    /// Takes the next batch, which is then in flight.
    pub(crate) fn take_batch(&mut self, batch_size: usize, now: Instant) -> Option<Batch> {
        let (mut count, mut bytes) = (0, 0);
        while count < batch_size.min(self.records.len()) && bytes < BATCH_BYTES {
            if !self.records[0].may_share_batch(&self.records[count]) {
                break;
            }
            bytes += self.records[count].bytes();
            count += 1;
        }
        let records: Vec<Record> = self.records.drain(..count).collect();
        self.bytes -= bytes;
        self.waiting_since = (!self.records.is_empty()).then_some(now);
        let to = records.last()?.offset + 1;
        Some(self.send(to, records))
    }

    /// A batch without records, if more was read than the last record: the end of a transaction takes an offset too.
    pub(crate) fn skip_to_end_of_received(&mut self) -> Option<Batch> {
        self.empty_batch_to(self.read_to)
    }

    /// A batch without records, up to an offset below which all records were received.
    pub(crate) fn empty_batch_to(&mut self, read_to: i64) -> Option<Batch> {
        self.may_skip_to(read_to).then(|| self.send(read_to, Vec::new()))
    }

    /// Whether only offsets without records come before an offset.
    fn may_skip_to(&self, read_to: i64) -> bool {
        self.accepts_records() && !self.in_flight && self.records.is_empty() && read_to > self.position
    }

    fn send(&mut self, to: i64, records: Vec<Record>) -> Batch {
        self.in_flight = true;
        self.in_flight_from = records.first().and_then(Record::observed_at);
        Batch { topic_partition: self.topic_partition.clone(), from: self.position, to, records }
    }

    /// A batch was applied.
    pub(crate) const fn applied(&mut self, to: i64) {
        self.in_flight = false;
        self.position = to;
    }

    /// Drops the waiting records, and stops retries of the batch in flight.
    pub(crate) fn clear(&mut self) {
        self.handle.stop();
        self.records.clear();
        (self.bytes, self.waiting_since) = (0, None);
    }

    /// Whether its position can be compared with the stored one: no batch is in flight and no seek is pending.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.in_flight && self.seek_to.is_none()
    }

    /// Resumes from a stored position that differs from this one, and logs it. Returns whether the position went back.
    pub(crate) fn resume_from(&mut self, position: i64) -> bool {
        let (TopicPartition { topic, partition, .. }, expected) = (&self.topic_partition, self.position);
        let went_back = position < expected;
        if went_back {
            tracing::warn!(
                event = events::POSITION_WENT_BACK,
                topic,
                partition,
                expected,
                position,
                "the stored position went back, as after a crash or failover of the database; applying the records again"
            );
        } else {
            tracing::info!(
                event = events::POSITION_MOVED,
                topic,
                partition,
                position,
                "another consumer has moved the position; resuming from it"
            );
        }
        self.restart(position);
        went_back
    }

    /// Drops what was received, because it may be applied already, and fetches it again from the position.
    fn restart(&mut self, position: i64) {
        let paused = self.paused;
        *self = Self {
            seek_to: Some(position),
            paused,
            ..Self::new(self.topic_partition.clone(), position, self.epoch)
        };
    }
}

#[cfg(test)]
mod tests;
