//! The partitions that the polling thread receives: the epoch of each, its open chunk, and whether it is paused.

use crate::model::chunk::Chunk;
use crate::model::topic::TopicPartition;

/// The assigned partitions. There are few, so they are searched one by one.
#[derive(Default)]
pub(super) struct Assignment {
    partitions: Vec<Assigned>,
    /// The partition that was found last. Consecutive messages are often of the same partition.
    last: usize,
}

/// An assigned partition.
pub(super) struct Assigned {
    pub(super) topic_partition: TopicPartition,
    pub(super) epoch: u64,
    /// How far the partition was read, as last sent to the loop.
    read_to: Option<i64>,
    chunk: Chunk,
    /// Whether the loop has paused it.
    pause_wanted: bool,
    /// Whether librdkafka has paused it.
    paused: bool,
}

impl Assignment {
    /// Adds a partition, and removes an older assignment of it. It is not paused.
    pub(super) fn add(&mut self, topic_partition: &TopicPartition, epoch: u64) {
        self.remove(&topic_partition.topic, topic_partition.partition);
        self.partitions.push(Assigned {
            topic_partition: topic_partition.clone(),
            epoch,
            read_to: None,
            chunk: Chunk::new(epoch),
            pause_wanted: false,
            paused: false,
        });
    }

    /// Forgets a partition and its open chunk.
    pub(super) fn remove(&mut self, topic: &str, partition: i32) {
        self.partitions.retain(|assigned| !assigned.is(topic, partition));
    }

    pub(super) fn find(&mut self, topic: &str, partition: i32) -> Option<&mut Assigned> {
        if !self.partitions.get(self.last).is_some_and(|assigned| assigned.is(topic, partition)) {
            self.last = self.partitions.iter().position(|assigned| assigned.is(topic, partition))?;
        }
        self.partitions.get_mut(self.last)
    }

    /// Whether a chunk waits to be filled or sent.
    pub(super) fn has_open_chunks(&self) -> bool {
        self.partitions.iter().any(|assigned| !assigned.chunk.is_empty())
    }

    /// The open chunks. Each partition starts a new one.
    pub(super) fn take_chunks(&mut self) -> impl Iterator<Item = (&TopicPartition, Chunk)> {
        self.partitions.iter_mut().filter_map(|assigned| {
            let chunk = assigned.take_chunk()?;
            Some((&assigned.topic_partition, chunk))
        })
    }

    /// The partitions that must be paused (true) or resumed (false). This marks them as paused or resumed.
    pub(super) fn pause_changes(&mut self, all: bool) -> Vec<(TopicPartition, bool)> {
        let changes = self.partitions.iter_mut().filter_map(|assigned| {
            let pause = all || assigned.pause_wanted;
            let change = pause != assigned.paused;
            assigned.paused = pause;
            change.then(|| (assigned.topic_partition.clone(), pause))
        });
        changes.collect()
    }
}

impl Assigned {
    fn is(&self, topic: &str, partition: i32) -> bool {
        self.topic_partition.partition == partition && self.topic_partition.topic == topic
    }

    /// The chunk that records are appended to.
    pub(super) const fn chunk(&mut self) -> &mut Chunk {
        &mut self.chunk
    }

    /// The open chunk, unless it is empty.
    pub(super) fn take_chunk(&mut self) -> Option<Chunk> {
        if self.chunk.is_empty() {
            return None;
        }
        Some(std::mem::replace(&mut self.chunk, Chunk::new(self.epoch)))
    }

    /// Completes a seek. The open chunk must have been taken before.
    pub(super) fn start_epoch(&mut self, epoch: u64) {
        (self.epoch, self.read_to, self.chunk) = (epoch, None, Chunk::new(epoch));
    }

    pub(super) const fn want_pause(&mut self, pause: bool) {
        self.pause_wanted = pause;
    }

    /// Stores how far the partition was read. Returns whether that has changed.
    pub(super) fn update_read_to(&mut self, offset: i64) -> bool {
        let news = self.read_to != Some(offset);
        self.read_to = Some(offset);
        news
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;

    use super::*;
    use crate::model::record::Record;
    use crate::model::topic::TopicKind;

    fn topic_partition(partition: i32) -> TopicPartition {
        TopicPartition { kind: TopicKind::DeadLetters, topic: "letters".into(), partition }
    }

    fn push(assignment: &mut Assignment, partition: i32, offset: i64) {
        let record = Record::read(offset, None::<&OwnedHeaders>);
        assignment.find("letters", partition).unwrap().chunk().push(offset, record);
    }

    fn taken(assignment: &mut Assignment) -> Vec<(i32, u64, Vec<i64>)> {
        let offsets = |chunk: &Chunk| chunk.records.iter().map(|record| record.offset).collect();
        let chunks = assignment.take_chunks();
        chunks
            .map(|(topic_partition, chunk)| (topic_partition.partition, chunk.epoch, offsets(&chunk)))
            .collect()
    }

    #[test]
    fn chunks_carry_the_epoch_in_which_their_records_were_received() {
        let mut assignment = Assignment::default();
        assignment.add(&topic_partition(0), 1);
        assignment.add(&topic_partition(1), 2);
        for (partition, offset) in [(0, 10), (1, 5), (0, 11)] {
            push(&mut assignment, partition, offset);
        }
        assert!(assignment.has_open_chunks());
        assert_eq!(taken(&mut assignment), [(0, 1, vec![10, 11]), (1, 2, vec![5])]);
        assert!(!assignment.has_open_chunks());
        assignment.find("letters", 0).unwrap().start_epoch(3);
        push(&mut assignment, 0, 4);
        assert_eq!(taken(&mut assignment), [(0, 3, vec![4])]);
    }

    #[test]
    fn a_partition_that_is_assigned_again_starts_from_nothing() {
        let mut assignment = Assignment::default();
        assignment.add(&topic_partition(0), 1);
        push(&mut assignment, 0, 10);
        assignment.find("letters", 0).unwrap().want_pause(true);
        assert_eq!(assignment.pause_changes(false), [(topic_partition(0), true)]);
        assignment.remove("letters", 0);
        assert!(assignment.find("letters", 0).is_none());
        assignment.add(&topic_partition(0), 2);
        assert!(!assignment.has_open_chunks());
        assert_eq!(assignment.pause_changes(false), []);
    }

    #[test]
    fn a_partition_is_paused_while_the_loop_or_the_thread_wants_it() {
        let mut assignment = Assignment::default();
        assignment.add(&topic_partition(0), 1);
        assignment.add(&topic_partition(1), 1);
        assignment.find("letters", 0).unwrap().want_pause(true);
        assert_eq!(assignment.pause_changes(false), [(topic_partition(0), true)]);
        assert_eq!(assignment.pause_changes(true), [(topic_partition(1), true)]);
        assert_eq!(assignment.pause_changes(false), [(topic_partition(1), false)]);
        assignment.find("letters", 0).unwrap().want_pause(false);
        assert_eq!(assignment.pause_changes(false), [(topic_partition(0), false)]);
    }

    #[test]
    fn how_far_a_partition_was_read_is_news_once_per_epoch() {
        let mut assignment = Assignment::default();
        assignment.add(&topic_partition(0), 1);
        let assigned = assignment.find("letters", 0).unwrap();
        assert!(assigned.update_read_to(7) && !assigned.update_read_to(7) && assigned.update_read_to(8));
        assigned.start_epoch(2);
        assert!(assigned.update_read_to(8));
    }
}
