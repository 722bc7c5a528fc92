//! The replay up to the first targets, in two passes. The first reads keys and headers and finds the newest version of each
//! row; the second applies these versions, and records that can't be read whatever their value is.
//!
//! Why the shadow then has the same rows as after a replay of all versions: a row depends only on its newest readable version
//! (invariant I2, which compaction relies on too), and the version guard makes the order irrelevant. What the first pass
//! takes for the newest version may turn out to be unreadable, or to be gone. Then the topics are read once more:
//!
//! - A selected record became a dead letter: all versions of its row are applied.
//! - A selected record was not received, because a later record of its key came and compaction removed it: all records are
//!   applied.
//!
//! New tables are filled in one pass, because their ledger counts what each record did, and decides about a run by the rows
//! at its end.

use std::collections::HashSet;

use anyhow::ensure;
use catalog_shared::events;

use super::super::first_pass;
use super::super::selection::Selection;
use super::super::targets::ReplayTargets;
use super::{PartitionReplay, Replay};
use crate::decode::row_key::RowId;
use crate::store::positions;

impl Replay {
    /// Reads every partition from its first record up to its target, in two passes.
    ///
    /// # Errors
    /// Same as [`Replay::read_to`].
    pub(crate) async fn read_in_two_passes(&mut self, targets: &ReplayTargets) -> anyhow::Result<()> {
        tracing::info!(
            event = events::REPLAY_STARTED,
            offsets = self.left(targets),
            "replaying the topics in two passes"
        );
        let selected = first_pass::select(&self.kafka, targets).await?;
        let (selection, unapplied) = self.read_selected(targets, Selection::Offsets(selected)).await?;
        let Some(missed) = selection.missed(unapplied) else { return Ok(()) };
        tracing::info!(
            event = events::TOPICS_READ_AGAIN,
            rows = missed.rows(),
            "the newest version of some rows can't be read or was compacted; reading their other versions"
        );
        self.restart(targets).await?;
        self.read_selected(targets, missed).await?;
        Ok(())
    }

    /// Reads up to the targets and applies the selection. Returns what of it was not received, and the rows of records that
    /// became dead letters.
    async fn read_selected(
        &mut self,
        targets: &ReplayTargets,
        selection: Selection,
    ) -> anyhow::Result<(Selection, HashSet<RowId>)> {
        self.selection = selection;
        self.unapplied.clear();
        self.read_to(targets).await?;
        Ok((std::mem::take(&mut self.selection), std::mem::take(&mut self.unapplied)))
    }

    /// Sets every partition back to its first offset.
    async fn restart(&mut self, targets: &ReplayTargets) -> anyhow::Result<()> {
        self.records = 0;
        for (topic_partition, low, _) in targets.ranges() {
            let Some(replay) = self.replays.get_mut(&topic_partition.id()) else { continue };
            let position = replay.partition.position;
            let is_reset = positions::reset(&self.pool, topic_partition, position, low).await?;
            ensure!(is_reset, "another program has written to the shadow");
            *replay = PartitionReplay::new(topic_partition.clone(), low);
        }
        Ok(())
    }
}
