//! The comparison at a snapshot, while consumers continue. It finds the candidates, which are compared again under the lock.
//!
//! What else can differ under the lock? A row of the shadow changes only by a record that is read after the snapshot. A live
//! row changes
//!
//! - by a record that a consumer applies. Its offset is at or beyond the live position at the snapshot, so also beyond the
//!   shadow's, and the rebuild reads it before it compares: its key becomes a candidate. That does not hold if an operator
//!   has set a position back.
//! - by a decision about a run, or by a replayed dead letter. Both change the ledger.
//!
//! So a snapshot is only valid while no position is set back and the ledger is the same. Otherwise all rows are compared
//! again.

use anyhow::Context;
use catalog_shared::events;
use catalog_shared::topics::Topics;
use sqlx::PgConnection;

use super::replay::Replay;
use super::shadow::Shadow;
use super::targets::ReplayTargets;
use super::touched::TouchedKeys;
use super::{catch_up, comparison};

/// What the comparison depends on besides records, at the time of the snapshot.
pub(super) struct Snapshot {
    ledger: String,
    is_set_back: bool,
}

impl Snapshot {
    /// Compares all rows while consumers continue, and reads the records that they have applied meanwhile. Once more if that
    /// is not valid any longer.
    pub(super) async fn take(
        shadow: &mut Shadow,
        replay: &mut Replay,
        targets: &mut ReplayTargets,
        topics: &Topics,
    ) -> anyhow::Result<Self> {
        let snapshot = Self::take_once(shadow, replay, targets, topics).await?;
        if snapshot.is_valid(&mut shadow.session, replay, targets).await? {
            return Ok(snapshot);
        }
        tracing::info!(
            event = events::SNAPSHOT_REPEATED,
            "decisions, positions or many rows have changed; comparing all rows again"
        );
        comparison::drop_candidates(&mut shadow.session).await?;
        Self::take_once(shadow, replay, targets, topics).await
    }

    async fn take_once(
        shadow: &mut Shadow,
        replay: &mut Replay,
        targets: &mut ReplayTargets,
        topics: &Topics,
    ) -> anyhow::Result<Self> {
        replay.collect_keys();
        let mut tx = shadow.begin_snapshot().await?;
        // In the transaction of the comparison, so that rows, positions and ledger are of the same moment.
        targets.refresh(&mut tx).await?;
        let is_set_back = targets.are_set_back() || replay.is_beyond(targets);
        let ledger = read_ledger(&mut tx).await?;
        comparison::find_candidates(&mut tx, topics).await?;
        tx.commit().await?;
        tracing::info!(event = events::SNAPSHOT_COMPARED, "compared all rows while consumers continue");
        targets.refresh(&mut shadow.session).await?;
        catch_up(shadow, replay, targets).await?;
        Ok(Self { ledger, is_set_back })
    }

    /// Whether the candidates and the collected keys are all rows that may differ. The targets were just refreshed.
    async fn is_valid(
        &self,
        session: &mut PgConnection,
        replay: &Replay,
        targets: &ReplayTargets,
    ) -> sqlx::Result<bool> {
        let is_set_back = self.is_set_back || targets.are_set_back() || replay.is_beyond(targets);
        let are_too_many = replay.touched().is_some_and(TouchedKeys::are_too_many);
        Ok(!is_set_back && !are_too_many && read_ledger(session).await? == self.ledger)
    }
}

/// Adds what was read after the snapshot to the candidates. Compares all rows if there is no snapshot or it is not valid.
pub(super) async fn complete_candidates(
    tx: &mut PgConnection,
    snapshot: Option<Snapshot>,
    replay: &Replay,
    targets: &ReplayTargets,
    topics: &Topics,
) -> anyhow::Result<()> {
    let Some(snapshot) = snapshot else {
        return comparison::find_candidates(tx, topics).await.context("can't compare the tables");
    };
    if !snapshot.is_valid(tx, replay, targets).await? {
        tracing::info!(
            event = events::SNAPSHOT_OUTDATED,
            "decisions, positions or many rows have changed since the snapshot; comparing all rows while consumers wait"
        );
        comparison::drop_candidates(tx).await?;
        return comparison::find_candidates(tx, topics).await.context("can't compare the tables");
    }
    if let Some(touched) = replay.touched() {
        touched.add_to_candidates(tx).await?;
    }
    Ok(())
}

async fn read_ledger(session: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar(include_str!("../../../sql/rebuild/read_ledger.sql")).fetch_one(session).await
}
