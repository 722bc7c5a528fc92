//! What comes of a batch that has ended.

use crate::commands::run::consumer::{Consumer, FinishedBatch};
use crate::kafka::offsets;
use crate::store::apply::Outcome;

impl Consumer {
    /// Enters what came of a batch, and hands over what is due since.
    pub(super) fn finish(&mut self, done: FinishedBatch) -> anyhow::Result<()> {
        self.record_outcome(done)?;
        self.apply_all_due();
        self.pause_and_resume();
        Ok(())
    }

    /// Enters what came of a batch.
    pub(crate) fn record_outcome(&mut self, done: FinishedBatch) -> anyhow::Result<()> {
        let FinishedBatch { place, epoch, to, outcome } = done;
        let partition = self.partitions.get_mut(&(place.kind, place.partition));
        let partition = partition.filter(|partition| partition.epoch == epoch);
        match outcome? {
            Outcome::Applied { records, dead, verdicts } => {
                tracing::debug!(
                    topic = place.topic,
                    partition = place.partition,
                    to,
                    records = records.len(),
                    "batch applied"
                );
                self.summary.add(place.kind, &records, dead.len() as u64, verdicts);
                if let Some(partition) = partition {
                    partition.applied(to);
                    offsets::commit(&self.member, &[(place, to)])?;
                }
            }
            Outcome::Stale { position } => {
                tracing::info!(
                    topic = place.topic,
                    partition = place.partition,
                    position,
                    "another consumer has moved the position; going on from there"
                );
                partition.into_iter().for_each(|partition| partition.restart(position));
            }
            Outcome::GivenUp => {
                partition.into_iter().for_each(|partition| partition.in_flight = false);
            }
        }
        Ok(())
    }
}
