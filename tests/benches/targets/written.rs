//! Measures how much PostgreSQL wrote.

use anyhow::Result;
use catalog_tests::world::World;
use sqlx::{AssertSqlSafe, PgPool};

/// A position in the WAL of the server, and the number of rows written to the wide table until then.
pub(crate) struct Moment {
    lsn: String,
    wide_rows: i64,
}

/// The amount that was written since a position.
pub(crate) struct Written {
    /// Bytes of WAL about this database without full-page images: their number depends on when the last checkpoint
    /// was, and not on the program.
    pub(crate) wal: f64,
    /// Bytes of full-page images.
    pub(crate) images: f64,
    /// Rows of the wide table that were inserted, updated or deleted.
    pub(crate) wide_rows: i64,
}

/// WAL records that name a block of this database. Commits name none; they take some 40 bytes per batch.
const WAL_SINCE: &str =
    "select coalesce(sum(record_length - fpi_length), 0)::float8, coalesce(sum(fpi_length), 0)::float8
    from pg_get_wal_records_info($1::pg_lsn, pg_current_wal_flush_lsn())
    where block_ref like '%/' || (select oid from pg_database where datname = current_database()) || '/%'";

impl Moment {
    /// The current position. No consumer may be running.
    pub(crate) async fn now(world: &World, schema: &str) -> Result<Self> {
        // A session reports its statistics at its end at the latest.
        world
            .until(
                "select count(*) = 0 from pg_stat_activity
                 where application_name = 'catalog-consumer' and datname = current_database()",
            )
            .await?;
        flush(world.pool()).await?;
        let lsn =
            sqlx::query_scalar("select pg_current_wal_flush_lsn()::text").fetch_one(world.pool()).await?;
        let wide_rows = "select n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables
             where schemaname = $1 and relname = 'socrata_datasets'";
        let wide_rows = sqlx::query_scalar(wide_rows).bind(schema).fetch_one(world.pool()).await?;
        Ok(Self { lsn, wide_rows })
    }

    /// The amount that was written since a position.
    pub(crate) async fn since(&self, world: &World, schema: &str) -> Result<Written> {
        let now = Self::now(world, schema).await?;
        let wal = sqlx::query_as(WAL_SINCE).bind(&self.lsn).fetch_one(world.pool());
        let (wal, images): (f64, f64) = wal.await?;
        Ok(Written { wal, images, wide_rows: now.wide_rows - self.wide_rows })
    }
}

/// Commits something synchronously, so that all WAL before it is on disk and can be read.
async fn flush(pool: &PgPool) -> Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::raw_sql("set local synchronous_commit = on").execute(&mut *tx).await?;
    sqlx::query("select pg_logical_emit_message(true, 'bench', '')").execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Enables reading WAL, if the server has the extension. It is part of PostgreSQL's own extensions, from version 15 on.
pub(crate) async fn can_read_wal(pool: &PgPool) -> bool {
    let create = "create extension if not exists pg_walinspect";
    sqlx::query(create).execute(pool).await.is_ok()
}

/// Adds rows of another region to the tables of a schema until the narrow one has so many: the keys of real rows
/// with a number, and next to nothing in the wide columns.
pub(crate) async fn fill(pool: &PgPool, schema: &str, rows: u64) -> Result<()> {
    let count = format!("select count(*) from {schema}.socrata_dataset_stats");
    let there: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(pool).await?;
    let times = rows.div_ceil(u64::try_from(there)?.max(1)).saturating_sub(1);
    for (table, changes) in [
        ("socrata_dataset_stats", "jsonb_build_object('region', 'eu', 'id', id || '-' || n)"),
        (
            "socrata_datasets",
            "jsonb_build_object('region', 'eu', 'id', id || '-' || n, 'record', jsonb '{}', 'columns', null,
                                'description', null, 'domain_metadata', null)",
        ),
    ] {
        let insert = format!(
            "insert into {schema}.{table} select (jsonb_populate_record(stored, {changes})).*
             from {schema}.{table} as stored, generate_series(1, {times}) as n where stored.region = 'us'"
        );
        sqlx::query(AssertSqlSafe(insert)).execute(pool).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("vacuum (analyze) {schema}.{table}"))).execute(pool).await?;
    }
    Ok(())
}
