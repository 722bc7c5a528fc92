//! Between the database and the verdicts topic: what the topic does not have yet, and what it has that is not known
//! here. Other installations may read the same topics, judge and decide.

use anyhow::Context;
use catalog_shared::verdict::{Decision, Verdict};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::store::ledger::decisions::{self, Known, RunId};
use crate::store::schema_lock::lock;

/// Merges the topic's verdicts with those that are kept here. What changes here takes effect, and what the topic
/// lacks is published again.
pub(crate) async fn follow(pool: &PgPool, said: &[Verdict]) -> anyhow::Result<()> {
    // Most of it is known, this installation's own records among it, and the exclusive lock stops all batches.
    let mut news = Vec::new();
    let mut connection = pool.acquire().await?;
    for verdict in said {
        let known = decisions::find(&mut connection, RunId::of(verdict)).await?;
        if known.is_none_or(|known| known.verdict != *verdict) {
            news.push(verdict);
        }
    }
    drop(connection);
    if news.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    lock(&mut tx, true).await?;
    for verdict in news {
        follow_one(&mut tx, verdict).await?;
    }
    tx.commit().await.context("can't commit")
}

async fn follow_one(tx: &mut PgConnection, said: &Verdict) -> anyhow::Result<()> {
    let id = RunId::of(said);
    let known = decisions::find(tx, id).await?;
    if let Some(Known { arrived: Some(arrived), .. }) = &known
        && Some(*arrived) != said.ended_at
    {
        // The verdict of an older run of that number; the one that is kept here is published over it.
        return Ok(());
    }
    let known = known.filter(|known| known.verdict.ended_at == said.ended_at).map(|known| known.verdict);
    let merged = known.clone().map_or_else(|| said.clone(), |known| known.merge(said.clone()));
    decisions::store(tx, &merged, merged == *said).await?;
    if known.is_some_and(|known| known != merged) && is_judged(tx, id).await? {
        let moved = decisions::take_effect(tx, &merged).await?;
        let (state, retired, returned) = (merged.state().name(), moved.retired, moved.returned);
        tracing::info!(region = %id.region, run = id.run, state, retired, returned, "decided elsewhere");
    }
    Ok(())
}

/// Whether all of the run has arrived. Before that its verdict waits.
async fn is_judged(tx: &mut PgConnection, id: RunId) -> sqlx::Result<bool> {
    let state = decisions::state(tx, id).await?;
    let state = state.and_then(|(state, _)| Decision::from_name(&state));
    Ok(state.is_some_and(|state| state != Decision::Abandoned))
}

/// What the topic does not have yet.
pub(crate) async fn unpublished(pool: &PgPool) -> sqlx::Result<Vec<Verdict>> {
    let rows: Vec<Json<Verdict>> =
        sqlx::query_scalar(include_str!("../../sql/ledger/read_outbox.sql")).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|Json(verdict)| verdict).collect())
}

/// Notes that the topic has this record, unless it has changed here since it was read.
pub(crate) async fn mark_published(pool: &PgPool, verdict: &Verdict) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/ledger/mark_published.sql"))
        .bind(verdict.region.name())
        .bind(i64::from(verdict.run))
        .bind(Json(verdict))
        .execute(pool)
        .await?;
    Ok(())
}
