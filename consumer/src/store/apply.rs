//! Applying: a batch is one transaction of rows, ledger and position.
//!
//! Its statements come in one order everywhere: the schema lock, the position, the runs, the rows by key,
//! the ledger, the markers and what follows from the last one. So no two transactions wait for each other.

use std::collections::BTreeSet;

use anyhow::Context;
use catalog_shared::region::Region;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Semaphore;

use crate::config::thresholds::Thresholds;
use crate::decode::{Dead, Decoded, decode};
use crate::model::batch::Batch;
use crate::model::effect::Applied;
use crate::model::record::Record;
use crate::model::topic::TopicKind;
use crate::store::ledger::{self, JudgedRun, order};
use crate::store::rows::{self, Refused};
use crate::store::schema_lock::lock;
use crate::store::{db_error, dead_letters, positions};

/// What came of a batch.
pub(crate) enum Outcome {
    /// It is in the tables, and its position with it.
    Applied { records: Vec<Applied>, dead: Vec<Dead>, verdicts: Vec<JudgedRun> },
    /// Somebody else has moved the position, to here; nothing was written.
    Stale { position: i64 },
    /// It was not applied and is not tried again, for the consumer leaves its partition.
    GivenUp,
}

/// Why a batch was not applied.
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    /// What has come of it all the same, if the commit was done and only its answer lost.
    pub(crate) in_doubt: Option<Outcome>,
}

/// Applies a batch. Records that can't be applied become dead letters. It is decoded before it waits for its
/// turn at the database, so that one batch is decoded while others are applied.
///
/// # Errors
/// What the database said, or that there are too many dead letters.
pub(crate) async fn apply(
    pool: &PgPool,
    permits: &Semaphore,
    batch: &Batch,
    thresholds: Thresholds,
) -> Result<Outcome, Failure> {
    let decoded = || decode(batch.place.kind, &batch.records);
    let first = decoded();
    let permit = permits.acquire().await.context("there are no turns any more");
    let _permit = permit.map_err(|error| Failure { error, in_doubt: None })?;
    let applied = match transact(pool, batch, thresholds, first, false).await {
        // The search for the row is a transaction of its own: in this one nothing more can be done.
        Err(Failure { error, .. }) if error.is::<Refused>() => {
            transact(pool, batch, thresholds, decoded(), true).await
        }
        other => other,
    };
    applied.map_err(|Failure { error, in_doubt }| {
        let Batch { place, from, to, .. } = batch;
        let name = format!("{}[{}] offsets {from} to {to}", place.topic, place.partition);
        Failure { error: error.context(name), in_doubt }
    })
}

async fn transact(
    pool: &PgPool,
    batch: &Batch,
    thresholds: Thresholds,
    decoded: Decoded<'_>,
    searching: bool,
) -> Result<Outcome, Failure> {
    let nothing_done = |error| Failure { error, in_doubt: None };
    let mut tx = pool.begin().await.context("can't begin a transaction").map_err(nothing_done)?;
    let outcome = fill(&mut tx, batch, thresholds, decoded, searching).await.map_err(nothing_done)?;
    if matches!(outcome, Outcome::Stale { .. }) {
        return Ok(outcome);
    }
    match tx.commit().await {
        Ok(()) => Ok(outcome),
        // A constraint that is deferred speaks up here.
        Err(error) if !searching && db_error::refuses_a_row(&error) => {
            Err(nothing_done(Refused(error).into()))
        }
        Err(error) => Err(Failure {
            error: anyhow::Error::from(error).context("can't commit"),
            in_doubt: Some(outcome),
        }),
    }
}

/// All that a batch's transaction does before its commit.
async fn fill(
    tx: &mut PgConnection,
    batch: &Batch,
    thresholds: Thresholds,
    decoded: Decoded<'_>,
    searching: bool,
) -> anyhow::Result<Outcome> {
    let Decoded { rows, markers, mut dead } = decoded;
    lock(tx, !markers.is_empty()).await.context("can't take the lock of the schema")?;
    let row = positions::hold(tx, &batch.place).await.context("can't read the position")?;
    if row.position != batch.from {
        return Ok(Outcome::Stale { position: row.position });
    }
    ledger::open_runs(tx, &runs(batch)).await.context("can't enter the runs")?;
    let records = if searching {
        rows::write_what_passes(tx, batch, &mut dead).await.context("can't search for the row")?
    } else {
        rows::write_all(tx, rows).await?
    };
    let counted_to = row.counted_to;
    order::check(tx, &batch.place, counted_to, &records, &markers).await.context("can't count")?;
    ledger::count(tx, &batch.place, counted_to, &records).await.context("can't count")?;
    dead_letters::enter(tx, batch, &row, (&dead, &markers), thresholds.dead).await?;
    let mut verdicts = Vec::new();
    for marked in markers.iter().filter(|marked| marked.offset >= counted_to) {
        let verdict = ledger::close(tx, &batch.place, marked, thresholds.runs).await;
        verdicts.extend(verdict.with_context(|| format!("can't enter the marker at {}", marked.offset))?);
    }
    positions::advance(tx, batch).await.context("can't move the position")?;
    Ok(Outcome::Applied { records, dead, verdicts })
}

/// The runs of a batch's records, if they are in the books at all.
fn runs(batch: &Batch) -> Vec<(Region, u32)> {
    if batch.place.kind == TopicKind::DeadLetters {
        return Vec::new();
    }
    let of = |record: &Record| {
        let stamp = record.stamp.as_ref().ok();
        stamp.map(|stamp| (stamp.region, stamp.version.run)).or(record.origin)
    };
    let runs: BTreeSet<_> = batch.records.iter().filter_map(of).collect();
    runs.into_iter().collect()
}
