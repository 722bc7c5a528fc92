//! Records of a newer schema. They block only their own partition until the consumer is upgraded.

use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::record::SCHEMA;

use crate::commands::run::consumer::Consumer;
use crate::model::chunk::NewerRecord;
use crate::model::topic::TopicPartition;

impl Consumer {
    /// Logs again which partitions wait for an upgrade.
    pub(crate) fn log_newer(&self) {
        for partition in self.partitions.values() {
            let Some(NewerRecord { offset, schema }) = partition.newer else { continue };
            let (topic, partition) = (&partition.topic_partition.topic, partition.topic_partition.partition);
            tracing::warn!(
                event = events::NEWER_SCHEMA_STILL_WAITS,
                topic,
                partition,
                offset,
                schema,
                reads_up_to = SCHEMA,
                "still waiting for an upgrade: the next record has a newer schema"
            );
        }
    }

    /// Checks whether only records of a newer schema keep the consumer from catching up.
    ///
    /// # Errors
    /// [`Stop::Guard`] if that is so, because waiting longer would not help.
    pub(crate) fn check_newer(&self, behind: &[(&TopicPartition, i64, i64)]) -> Result<(), Stop> {
        let stuck = |(topic_partition, ..): &(&TopicPartition, i64, i64)| {
            let newer = self.partitions.get(&topic_partition.id())?.blocking_record()?;
            Some(format!(
                "{topic_partition} has a record of schema {} at offset {}",
                newer.schema, newer.offset
            ))
        };
        match behind.iter().map(stuck).collect::<Option<Vec<_>>>() {
            Some(stuck) if !stuck.is_empty() => Err(Stop::Guard(format!(
                "{}, and this build reads schemas up to {SCHEMA}. Everything else is applied; upgrade catalog-consumer",
                stuck.join(", ")
            ))),
            _ => Ok(()),
        }
    }
}
