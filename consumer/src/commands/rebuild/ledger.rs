//! The ledger: the shadow of existing tables starts with theirs, and new tables get the one of the shadow.

use anyhow::Context;
use sqlx::PgConnection;

use super::shadow::Shadow;
use super::targets::ReplayTargets;
use crate::sync::decisions::DecisionSync;

/// Gives the shadow the known decisions on runs, so that it does not decide again. They come from the live ledger, or from
/// Kafka if the database is new.
pub(super) async fn copy_to_shadow(
    shadow: &mut Shadow,
    decisions: &DecisionSync,
    targets: &ReplayTargets,
) -> anyhow::Result<()> {
    if targets.are_new() {
        return decisions.mirror().await;
    }
    let mut tx = shadow.begin().await?;
    sqlx::query(include_str!("../../../sql/rebuild/copy_ledger_to_shadow.sql")).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Copies the ledger of the shadow into a new database.
pub(super) async fn copy_to_live(tx: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query(include_str!("../../../sql/rebuild/copy_ledger_to_live.sql"))
        .execute(tx)
        .await
        .context("can't copy the ledger")?;
    Ok(())
}
