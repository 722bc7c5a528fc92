//! The outbox of decisions, and merging of decisions from the topic. Other installations may read the same topics and
//! decide about the same runs.

use anyhow::Context;
use catalog_shared::decision::{LedgerState, RunDecision};
use catalog_shared::events;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::store::ledger::decisions::{self, RunId, StoredDecision};
use crate::store::published_decisions::PublishedDecisions;
use crate::store::schema_lock::{LockMode, lock};

/// Merges decisions of the topic into the table. Changes take effect, and merged decisions that the topic does not have
/// go to the outbox.
///
/// # Errors
/// The error of the database.
pub(crate) async fn merge(pool: &PgPool, published: &[RunDecision]) -> anyhow::Result<()> {
    if published.is_empty() {
        return Ok(());
    }
    // Most decisions are known, such as those of this installation, and the exclusive lock blocks all batches.
    let mut changed = Vec::new();
    let mut connection = pool.acquire().await?;
    for decision in published {
        let known = decisions::find(&mut connection, RunId::of(decision)).await?;
        if known.is_none_or(|known| known.decision != *decision) {
            changed.push(decision);
        }
    }
    drop(connection);
    if changed.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    lock(&mut tx, LockMode::Exclusive).await?;
    for decision in changed {
        merge_one(&mut tx, decision).await?;
    }
    tx.commit().await.context("can't commit")
}

/// Merges the topic's decision about a run, before the run is decided. The caller has the exclusive schema lock.
pub(crate) async fn merge_published(
    tx: &mut PgConnection,
    topic: &PublishedDecisions,
    id: RunId,
) -> sqlx::Result<()> {
    let Some(published) = topic.find(id) else { return Ok(()) };
    match decisions::find(tx, id).await? {
        Some(known) if known.decision == published => Ok(()),
        _ => merge_one(tx, &published).await,
    }
}

async fn merge_one(tx: &mut PgConnection, published: &RunDecision) -> sqlx::Result<()> {
    let id = RunId::of(published);
    let known = decisions::find(tx, id).await?;
    if let Some(StoredDecision { ended_at: Some(ended_at), .. }) = &known
        && Some(*ended_at) != published.ended_at
    {
        // The decision is about an older run with the same number. The stored one is published over it.
        return Ok(());
    }
    let known =
        known.filter(|known| known.decision.ended_at == published.ended_at).map(|known| known.decision);
    let merged = known.clone().map_or_else(|| published.clone(), |known| known.merge(published.clone()));
    decisions::store(tx, &merged, merged == *published).await?;
    if known.is_some_and(|known| known != merged) && is_complete(tx, id).await? {
        let changes = decisions::apply_decision(tx, &merged).await?;
        let (state, retired, returned) = (merged.state().name(), changes.retired, changes.returned);
        tracing::info!(event = events::DECISION_APPLIED, region = %id.region, run = id.run, state, retired, returned, "decision of the topic applied");
    }
    Ok(())
}

/// Whether the run is complete here. Until then its decision has no effect.
async fn is_complete(tx: &mut PgConnection, id: RunId) -> sqlx::Result<bool> {
    let state = decisions::lock_run(tx, id).await?;
    let state = state.and_then(|(state, _)| LedgerState::from_name(&state));
    Ok(state.is_some_and(|state| state != LedgerState::Abandoned))
}

/// The decisions that are still to be published.
pub(crate) async fn unpublished(pool: &PgPool) -> sqlx::Result<Vec<RunDecision>> {
    let rows: Vec<Json<RunDecision>> =
        sqlx::query_scalar(include_str!("../../sql/ledger/read_outbox.sql")).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|Json(decision)| decision).collect())
}

/// Marks a decision as published, unless it has changed since it was read.
pub(crate) async fn mark_published(pool: &PgPool, decision: &RunDecision) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/ledger/mark_published.sql"))
        .bind(decision.region.name())
        .bind(i64::from(decision.run))
        .bind(Json(decision))
        .execute(pool)
        .await?;
    Ok(())
}
