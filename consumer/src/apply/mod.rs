//! Applying: a batch is one transaction of rows, ledger and position.
//!
//! Its statements come in one order everywhere: the one lock, the position, the runs, the rows by key,
//! the ledger, the markers and what follows from the last one. So no two transactions wait for each other.

use std::collections::BTreeSet;

use anyhow::Context;
use catalog_shared::region::Region;
use sqlx::{PgConnection, PgPool};

use crate::batch::{Applied, Batch, Rows};
use crate::cli::JudgeArgs;
use crate::ledger::{self, Judged};
use crate::positions;

mod arrays;
mod datasets;
mod names;

/// What came of a batch.
pub(crate) enum Outcome {
    /// It is in the tables, and its position with it.
    Applied { records: Vec<Applied>, verdicts: Vec<Judged> },
    /// Somebody else has moved the position, to here; nothing was written.
    Stale { position: i64 },
}

/// Applies a batch.
///
/// # Errors
/// The record that can't be read, or what the database said.
pub(crate) async fn apply(pool: &PgPool, batch: &Batch, limits: JudgeArgs) -> anyhow::Result<Outcome> {
    let Batch { place, from, to, .. } = batch;
    let name = || format!("{}[{}] offsets {from} to {to}", place.topic, place.partition);
    transact(pool, batch, limits).await.with_context(name)
}

async fn transact(pool: &PgPool, batch: &Batch, limits: JudgeArgs) -> anyhow::Result<Outcome> {
    let decoded = batch.decode()?;
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    lock(&mut tx, !decoded.markers.is_empty()).await?;
    let standing = positions::hold(&mut tx, &batch.place).await?;
    if standing.position != batch.from {
        return Ok(Outcome::Stale { position: standing.position });
    }
    ledger::open_runs(&mut tx, &runs(batch)).await?;
    let records = write(&mut tx, decoded.rows).await?;
    ledger::count(&mut tx, &batch.place, standing.counted_to, &records).await?;
    let mut verdicts = Vec::new();
    for marked in decoded.markers.iter().filter(|marked| marked.offset >= standing.counted_to) {
        verdicts.extend(ledger::close(&mut tx, &batch.place, marked, limits).await?);
    }
    positions::advance(&mut tx, batch).await?;
    tx.commit().await.context("can't commit")?;
    Ok(Outcome::Applied { records, verdicts })
}

async fn lock(tx: &mut PgConnection, alone: bool) -> sqlx::Result<()> {
    let statement = if alone {
        include_str!("../../sql/lock_exclusive.sql")
    } else {
        include_str!("../../sql/lock_shared.sql")
    };
    sqlx::query(statement).execute(tx).await?;
    Ok(())
}

fn runs(batch: &Batch) -> Vec<(Region, u32)> {
    let runs: BTreeSet<_> =
        batch.records.iter().map(|record| (record.stamp.region, record.stamp.version.run)).collect();
    runs.into_iter().collect()
}

async fn write(tx: &mut PgConnection, rows: Rows) -> sqlx::Result<Vec<Applied>> {
    match rows {
        Rows::Datasets(rows) => datasets::write(tx, rows).await,
        Rows::Domains(rows) => names::write_domains(tx, rows).await,
        Rows::Hosts(rows) => names::write_hosts(tx, rows).await,
        Rows::Agencies(rows) => names::write_agencies(tx, rows).await,
    }
}
