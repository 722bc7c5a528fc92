//! What the page shows of the tables: the facts of `check`, and the lists behind them, read in one snapshot.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::kafka::KafkaArgs;
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use crate::commands::check::facts::{self, Facts};
use crate::model::positions::Positions;
use crate::store::database;

/// The number of runs per region.
const RUNS: i64 = 20;
/// The number of retired datasets, and of dead letters.
const LATEST: i64 = 10;

/// What is read from the database.
pub(super) struct Ledger {
    pub(super) facts: Facts,
    /// The latest runs of each region, newest first.
    pub(super) runs: Vec<LatestRun>,
    /// The datasets that were retired last.
    pub(super) retired: Vec<RetiredDataset>,
    /// The newest open dead letters.
    pub(super) dead_letters: Vec<OpenDeadLetter>,
    /// The version of PostgreSQL.
    pub(super) server_version: String,
}

/// A run.
#[derive(Clone, Debug, FromRow)]
pub(super) struct LatestRun {
    pub(super) region: String,
    pub(super) run: i64,
    pub(super) mode: Option<String>,
    pub(super) state: String,
    pub(super) ended_at: Option<OffsetDateTime>,
    pub(super) published: Option<i64>,
    pub(super) dead: Option<i64>,
    pub(super) retired: Option<i64>,
}

/// A retired dataset.
#[derive(Clone, Debug, FromRow)]
pub(super) struct RetiredDataset {
    pub(super) region: String,
    pub(super) domain: String,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) retired_at: OffsetDateTime,
}

/// An open dead letter.
#[derive(Clone, Debug, FromRow)]
pub(super) struct OpenDeadLetter {
    pub(super) id: i64,
    pub(super) topic: String,
    pub(super) reason: String,
    pub(super) seen_at: OffsetDateTime,
}

impl Ledger {
    /// Reads everything. Writes nothing. Each statement may take `limit`.
    ///
    /// # Errors
    /// The error of the database.
    pub(super) async fn read(pool: &PgPool, kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<Self> {
        let mut tx = database::begin_snapshot(pool).await?;
        // A statement that nobody waits for any more would keep monitoring's connection busy.
        sqlx::query("select set_config('statement_timeout', $1, true)")
            .bind(limit.as_millis().to_string())
            .execute(&mut *tx)
            .await?;
        let facts = facts::read_in(&mut tx, kafka, None).await?;
        let ledger = read_lists(&mut tx, facts).await.context("can't read the ledger")?;
        tx.rollback().await.context("can't end the transaction")?;
        Ok(ledger)
    }

    /// The positions that the lag is measured from.
    ///
    /// # Errors
    /// Why there is no lag: the tables belong to other topics.
    pub(super) fn positions(&self) -> Result<Positions, String> {
        self.facts.other_topics.clone().map_or_else(|| Ok(self.facts.positions.clone()), Err)
    }
}

async fn read_lists(tx: &mut PgConnection, facts: Facts) -> sqlx::Result<Ledger> {
    Ok(Ledger {
        facts,
        runs: sqlx::query_as(include_str!("../../../../sql/page/latest_runs.sql"))
            .bind(RUNS)
            .fetch_all(&mut *tx)
            .await?,
        retired: sqlx::query_as(include_str!("../../../../sql/page/latest_retired.sql"))
            .bind(LATEST)
            .fetch_all(&mut *tx)
            .await?,
        dead_letters: sqlx::query_as(include_str!("../../../../sql/page/latest_dead_letters.sql"))
            .bind(LATEST)
            .fetch_all(&mut *tx)
            .await?,
        server_version: sqlx::query_scalar("show server_version").fetch_one(tx).await?,
    })
}
