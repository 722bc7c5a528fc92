//! Tables that a dry run writes to in place of the real ones: temporary, of the same names, filled with what
//! is held of each batch's keys. So what becomes of a record is found by the very statements of a run, keys
//! that come twice included, and no lock is taken on a row of the real tables. What they grow to is on disk,
//! and goes with the transaction.

use anyhow::Context;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::decode::content_hash::REVISION;
use crate::decode::rows::{Dataset, Keyed, Rows, Versioned};
use crate::decode::{Dead, decode};
use crate::model::batch::Batch;
use crate::model::effect::Applied;
use crate::store::rows;

/// The tables, within their transaction. It sees one moment of the database.
pub(super) struct TemporaryTables {
    tx: Transaction<'static, Postgres>,
}

impl TemporaryTables {
    pub(super) async fn make(pool: &PgPool) -> anyhow::Result<Self> {
        let begin = "begin transaction isolation level repeatable read";
        let mut tx = pool.begin_with(begin).await.context("can't begin a transaction")?;
        let make = sqlx::raw_sql(include_str!("../../../sql/dry_run/create_temporary_tables.sql"));
        make.execute(&mut *tx).await.context("can't make temporary tables")?;
        Ok(Self { tx })
    }

    /// A connection that sees the real tables, but for those that temporary ones hide, as the transaction found them.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Does with a batch's records what a run does with them.
    pub(super) async fn write(&mut self, batch: &Batch) -> anyhow::Result<(Vec<Applied>, Vec<Dead>)> {
        let decoded = decode(batch.place.kind, &batch.records);
        fetch(&mut self.tx, &decoded.rows).await.context("can't read what is held")?;
        let mut dead = decoded.dead;
        let applied = rows::write_what_passes(&mut self.tx, batch, &mut dead).await;
        Ok((applied.context("can't write to the temporary tables")?, dead))
    }

    pub(super) async fn roll_back(self) -> anyhow::Result<()> {
        self.tx.rollback().await.context("can't roll back")
    }
}

/// Fetches what is held of the rows' keys, but for those that were fetched or written before.
async fn fetch(tx: &mut PgConnection, rows: &Rows<'_>) -> sqlx::Result<()> {
    match rows {
        Rows::Datasets(rows) => {
            fetch_datasets(tx, rows).await?;
            fetch_pairs(tx, include_str!("../../../sql/dry_run/fetch_dataset_stats.sql"), rows).await
        }
        Rows::Agencies(rows) => {
            fetch_pairs(tx, include_str!("../../../sql/dry_run/fetch_agencies.sql"), rows).await
        }
        Rows::Domains(rows) => {
            fetch_names(tx, include_str!("../../../sql/dry_run/fetch_domains.sql"), rows).await
        }
        Rows::None => Ok(()),
        Rows::Hosts(rows) => {
            fetch_names(tx, include_str!("../../../sql/dry_run/fetch_hosts.sql"), rows).await
        }
    }
}

/// Datasets: the objects only of rows that don't have the form of this revision.
async fn fetch_datasets(tx: &mut PgConnection, rows: &[Versioned<Dataset<'_>>]) -> sqlx::Result<()> {
    let (domains, ids): (Vec<_>, Vec<_>) = rows.iter().map(|row| row.row.key()).unzip();
    sqlx::query(include_str!("../../../sql/dry_run/fetch_datasets.sql"))
        .bind(regions(rows))
        .bind(domains)
        .bind(ids)
        .bind(i32::from(REVISION))
        .execute(tx)
        .await?;
    Ok(())
}

/// For keys of a region and two names.
async fn fetch_pairs<T: Keyed>(
    tx: &mut PgConnection,
    statement: &'static str,
    rows: &[Versioned<T>],
) -> sqlx::Result<()> {
    let (firsts, seconds): (Vec<_>, Vec<_>) = rows.iter().map(|row| row.row.key()).unzip();
    sqlx::query(statement).bind(regions(rows)).bind(firsts).bind(seconds).execute(tx).await?;
    Ok(())
}

/// For keys of a region and a name.
async fn fetch_names<T: Keyed>(
    tx: &mut PgConnection,
    statement: &'static str,
    rows: &[Versioned<T>],
) -> sqlx::Result<()> {
    let names: Vec<_> = rows.iter().map(|row| row.row.key().0).collect();
    sqlx::query(statement).bind(regions(rows)).bind(names).execute(tx).await?;
    Ok(())
}

fn regions<T>(rows: &[Versioned<T>]) -> Vec<&'static str> {
    rows.iter().map(|row| row.region.name()).collect()
}
