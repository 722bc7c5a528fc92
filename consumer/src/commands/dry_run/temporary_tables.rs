//! The temporary tables of a dry run. They have the names of the real tables and receive the stored rows of each batch's
//! keys. So a dry run uses the statements of a run, finds the same effects even for repeated keys, and locks no row of the
//! real tables. The temporary tables are stored on disk until the transaction ends.

use std::sync::LazyLock;

use anyhow::Context;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::decode::content_hash::REVISION;
use crate::decode::rows::{Dataset, Keyed, Rows, Versioned};
use crate::decode::{Dead, decode};
use crate::model::batch::Batch;
use crate::model::effect::Applied;
use crate::store::rows;
use crate::store::tables::statements::fetch;
use crate::store::tables::{AGENCIES, DATASET_STATS, DOMAINS, HOSTS};

static FETCH_DATASET_STATS: LazyLock<String> = LazyLock::new(|| fetch(&DATASET_STATS));
static FETCH_DOMAINS: LazyLock<String> = LazyLock::new(|| fetch(&DOMAINS));
static FETCH_HOSTS: LazyLock<String> = LazyLock::new(|| fetch(&HOSTS));
static FETCH_AGENCIES: LazyLock<String> = LazyLock::new(|| fetch(&AGENCIES));

/// The tables and their transaction, which sees one snapshot of the database.
pub(super) struct TemporaryTables {
    tx: Transaction<'static, Postgres>,
}

impl TemporaryTables {
    pub(super) async fn create(pool: &PgPool) -> anyhow::Result<Self> {
        let begin = "begin transaction isolation level repeatable read";
        let mut tx = pool.begin_with(begin).await.context("can't begin a transaction")?;
        let create = sqlx::raw_sql(include_str!("../../../sql/dry_run/create_tables.sql"));
        create.execute(&mut *tx).await.context("can't create temporary tables")?;
        Ok(Self { tx })
    }

    /// A connection that sees the temporary tables, and the snapshot of all other tables.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Applies the records of a batch as a run does.
    pub(super) async fn write(&mut self, batch: &Batch) -> anyhow::Result<(Vec<Applied>, Vec<Dead>)> {
        let decoded = decode(batch.topic_partition.kind, &batch.records);
        copy_stored(&mut self.tx, &decoded.rows).await.context("can't read the stored rows")?;
        let mut dead = decoded.dead;
        let applied = rows::write_accepted(&mut self.tx, batch, &mut dead).await;
        Ok((applied.context("can't write to the temporary tables")?, dead))
    }

    pub(super) async fn roll_back(self) -> anyhow::Result<()> {
        self.tx.rollback().await.context("can't roll back")
    }
}

/// Copies the stored rows of these keys, except rows that were copied or written before.
async fn copy_stored(tx: &mut PgConnection, rows: &Rows<'_>) -> sqlx::Result<()> {
    match rows {
        Rows::Datasets(rows) => {
            copy_datasets(tx, rows).await?;
            copy_by_pair(tx, &FETCH_DATASET_STATS, rows).await
        }
        Rows::Agencies(rows) => copy_by_pair(tx, &FETCH_AGENCIES, rows).await,
        Rows::Domains(rows) => copy_by_name(tx, &FETCH_DOMAINS, rows).await,
        Rows::None => Ok(()),
        Rows::Hosts(rows) => copy_by_name(tx, &FETCH_HOSTS, rows).await,
    }
}

/// Copies datasets. The object is copied only if the row does not have the form of this revision.
async fn copy_datasets(tx: &mut PgConnection, rows: &[Versioned<Dataset<'_>>]) -> sqlx::Result<()> {
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

/// Copies rows whose key is a region and two names.
async fn copy_by_pair<T: Keyed>(
    tx: &mut PgConnection,
    statement: &'static str,
    rows: &[Versioned<T>],
) -> sqlx::Result<()> {
    let (firsts, seconds): (Vec<_>, Vec<_>) = rows.iter().map(|row| row.row.key()).unzip();
    sqlx::query(statement).bind(regions(rows)).bind(firsts).bind(seconds).execute(tx).await?;
    Ok(())
}

/// Copies rows whose key is a region and a name.
async fn copy_by_name<T: Keyed>(
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
