//! Handles the result of a finished batch.

use catalog_shared::events;
use catalog_shared::monitoring::names;
use metrics::counter;

use crate::commands::run::consumer::{Consumer, FinishedBatch};
use crate::kafka::offsets;
use crate::store::apply::Outcome;

impl Consumer {
    /// Handles the result of a batch, then starts batches that are due.
    pub(super) fn finish(&mut self, finished: FinishedBatch) -> anyhow::Result<()> {
        self.record_outcome(finished)?;
        self.apply_all_due();
        self.pause_and_resume();
        Ok(())
    }

    /// Updates the partition, the summary and the committed offset with the result of a batch.
    pub(crate) fn record_outcome(&mut self, finished: FinishedBatch) -> anyhow::Result<()> {
        let FinishedBatch { topic_partition, epoch, to, outcome } = finished;
        let partition = self.partitions.get_mut(&topic_partition.id());
        let partition = partition.filter(|partition| partition.epoch == epoch);
        let outcome = outcome?;
        counter!(names::CONSUMER_BATCHES, "outcome" => outcome.name()).increment(1);
        match outcome {
            Outcome::Applied { records, dead, judged_runs } => {
                tracing::debug!(
                    event = events::BATCH_APPLIED,
                    topic = topic_partition.topic,
                    partition = topic_partition.partition,
                    to,
                    records = records.len(),
                    "batch applied"
                );
                self.summary.add(topic_partition.kind, &records, dead.len() as u64, judged_runs);
                if let Some(partition) = partition {
                    partition.applied(to);
                    offsets::commit(&self.member, &[(topic_partition, to)])?;
                }
            }
            Outcome::Stale { position } => {
                if partition.is_some_and(|partition| partition.resume_from(position)) {
                    self.context.published.recheck();
                }
            }
            Outcome::Abandoned => {
                partition.into_iter().for_each(|partition| partition.in_flight = false);
            }
        }
        Ok(())
    }
}
