//! The progress of a replay: log lines, and the end of one that has stalled.

use std::time::Instant;

use anyhow::bail;
use catalog_shared::events;

use super::{PartitionReplay, Replay};
use crate::commands::rebuild::pass::{REPORT_EVERY, STALL_TIMEOUT};

impl Replay {
    /// Logs the progress.
    ///
    /// # Errors
    /// No progress for [`STALL_TIMEOUT`].
    pub(super) fn check_progress(&mut self) -> anyhow::Result<()> {
        let slowest = self.replays.values().max_by_key(|replay| replay.left());
        if let Some(replay) = slowest
            && self.progressed.elapsed() >= STALL_TIMEOUT
        {
            let (partition, waited) = (&replay.partition, STALL_TIMEOUT.as_secs());
            bail!(
                "no progress for {waited} s: {} is at offset {}, {} before its target",
                partition.topic_partition,
                partition.position,
                replay.left()
            );
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let left: i64 = self.replays.values().map(PartitionReplay::left).sum();
            tracing::info!(
                event = events::REPLAY_PROGRESS,
                records = self.records,
                offsets_left = left,
                "replayed so far"
            );
        }
        Ok(())
    }
}
