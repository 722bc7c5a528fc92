//! Receives records from the polling thread and buffers them by partition.

use std::time::Instant;

use catalog_shared::exit::Stop;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::commands::run::consumer::Consumer;
use crate::kafka::partitions::watermarks;
use crate::kafka::polling::Received;
use crate::kafka::receive;
use crate::model::chunk::Chunk;
use crate::model::partition::Partition;
use crate::model::topic::PartitionId;
use crate::sync::source_check;

/// How many bytes of received records may wait in all partitions together. Beyond that no more chunks are taken.
const WAITING_BYTES: usize = 20 * 1024 * 1024;

/// librdkafka compares the leader's epochs (KIP-320), which a new start can't do. So the next start does not notice it.
const TRUNCATED: &str = "Kafka has lost records at the end of a partition and has written others at their offsets. This \
    consumer may not have applied those. `catalog-consumer verify --topics` shows what is missing, and `catalog-consumer \
    rebuild` applies it; a start of `run` continues without it until the next full crawl";

impl Consumer {
    /// Whether more records may be buffered.
    pub(crate) fn may_buffer_more(&self) -> bool {
        self.partitions.values().map(Partition::waiting_bytes).sum::<usize>() < WAITING_BYTES
    }

    /// Handles what the polling thread has received.
    pub(crate) async fn receive(&mut self, received: Received) -> anyhow::Result<()> {
        match received {
            Received::Chunk { id, chunk } => {
                self.accept(id, chunk);
                Ok(())
            }
            Received::ReadTo { id, epoch, offset } => {
                let partition = self.partitions.get_mut(&id);
                partition.into_iter().for_each(|partition| partition.advance_read_to(epoch, offset));
                Ok(())
            }
            Received::Failed(error) => {
                if matches!(error, KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))
                    && !self.find_lost().await?
                {
                    return Err(Stop::Guard(TRUNCATED.to_owned()).into());
                }
                Err(receive::explain(error))
            }
        }
    }

    fn accept(&mut self, id: PartitionId, chunk: Chunk) {
        let now = Instant::now();
        let newer = chunk.newer;
        // The partition may have been revoked.
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if !partition.accept(chunk, now) {
            return;
        }
        newer.into_iter().for_each(|newer| receive::log_newer(&partition.topic_partition, newer));
        self.summary.received(now);
        let is_full = partition.pause_changes().is_some();
        if partition.is_due(usize::from(self.args.apply.batch_size), now) {
            self.apply_all_due();
        }
        if is_full {
            self.pause_and_resume();
        }
    }

    /// Reports a partition that no longer contains the offset of its position, or a topic that was created again. Returns
    /// whether a restart may be all that is needed: dead letters expired before they were read, or records that were received
    /// and not applied were lost.
    async fn find_lost(&self) -> anyhow::Result<bool> {
        // If the check fails for another reason, the offsets below are still wrong.
        let check =
            async { source_check::check_now(&mut *self.pool.acquire().await?, &self.args.kafka).await };
        check.await.or_else(|error| if error.is::<Stop>() { Err(error) } else { Ok(()) })?;
        let topic_partitions =
            self.partitions.values().map(|partition| partition.topic_partition.clone()).collect();
        let mut may_restart = self.partitions.values().any(Partition::has_work);
        for (topic_partition, marks) in watermarks(&self.args.kafka, topic_partitions).await? {
            if let Some(partition) = self.partitions.get(&topic_partition.id()) {
                marks.check(&topic_partition, partition.position)?;
                may_restart |= partition.position < marks.low;
            }
        }
        Ok(may_restart)
    }
}
