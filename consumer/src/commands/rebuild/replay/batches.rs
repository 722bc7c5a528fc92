//! The batches of a replay: which are due, and what they have done.

use std::sync::Arc;
use std::time::Instant;

use catalog_shared::events;

use super::super::partition_replay::{AppliedBatch, Won, apply_to_shadow};
use super::Replay;
use crate::model::topic::PartitionId;

/// The bytes of records that wait for their batch, beyond which nothing is received. Pausing partitions would be a limit per
/// partition, and librdkafka would discard what it has fetched ahead.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

impl Replay {
    /// Whether batches must be applied before more is received.
    pub(super) fn is_full(&self) -> bool {
        let waiting = self.replays.values().map(|replay| replay.partition.waiting_bytes());
        waiting.sum::<usize>() >= MAX_WAITING_BYTES
    }

    /// If nothing more is received: the largest batch, which is applied although more would fit in.
    fn largest_waiting(&self) -> Option<PartitionId> {
        let waiting = self.replays.iter().filter(|(_, replay)| !replay.partition.in_flight);
        let largest = waiting.max_by_key(|(_, replay)| replay.partition.waiting_bytes());
        largest.filter(|_| self.is_full()).map(|(id, _)| *id)
    }

    pub(super) fn apply_due(&mut self) {
        let (now, largest) = (Instant::now(), self.largest_waiting());
        for (id, replay) in &mut self.replays {
            // One batch more than there are connections, so that it is decoded while the others are applied.
            if self.batches.len() > self.connections {
                return;
            }
            let must = largest == Some(*id);
            let Some(batch) = replay.next_batch(self.batch_size, now, must) else { continue };
            let (pool, permits, settings) = (self.pool.clone(), Arc::clone(&self.permits), self.settings);
            self.records += batch.records.len() as u64;
            self.batches.spawn(async move { apply_to_shadow(&pool, &permits, batch, settings).await });
        }
    }

    pub(super) fn finish(&mut self, applied: anyhow::Result<AppliedBatch>) -> anyhow::Result<()> {
        let AppliedBatch { topic_partition, to, unapplied, won } = applied?;
        tracing::debug!(
            event = events::BATCH_REPLAYED,
            topic = topic_partition.topic,
            partition = topic_partition.partition,
            to,
            "batch replayed"
        );
        self.progressed = Instant::now();
        self.unapplied.extend(unapplied);
        for Won { row, version, offset } in won {
            self.newest.insert(row, version, (topic_partition.id(), offset));
        }
        if let Some(replay) = self.replays.get_mut(&topic_partition.id()) {
            replay.partition.applied(to);
        }
        Ok(())
    }
}
