//! What a replay fetches: partitions that have not reached their targets and whose records don't wait.

use anyhow::Context;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Replay, ReplayTargets};
use crate::kafka::partitions::list;
use crate::kafka::reader::TopicReader;

impl Replay {
    /// Assigns the partitions that have not reached their target, from their positions.
    pub(super) fn assign(&mut self, reader: &TopicReader, targets: &ReplayTargets) -> anyhow::Result<()> {
        let mut starts = TopicPartitionList::new();
        for (topic_partition, _, target) in targets.ranges() {
            let Some(replay) = self.replays.get_mut(&topic_partition.id()) else {
                continue;
            };
            if replay.set_target(target) {
                let position = Offset::Offset(replay.partition.position);
                starts.add_partition_offset(&topic_partition.topic, topic_partition.partition, position)?;
            }
        }
        reader.assign(&starts).context("can't read the topics")?;
        // An assignment does not end a pause.
        reader.resume(&starts).context("can't read the topics")
    }

    pub(super) fn pause_and_resume(&mut self, reader: &TopicReader) -> anyhow::Result<()> {
        for replay in self.replays.values_mut() {
            match replay.pause_changes() {
                Some(true) => replay.pause(reader)?,
                Some(false) => reader.resume(&list(&replay.partition.topic_partition))?,
                None => continue,
            }
            replay.partition.paused = !replay.partition.paused;
        }
        Ok(())
    }
}
