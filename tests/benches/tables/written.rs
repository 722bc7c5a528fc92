//! What PostgreSQL was made to write.

use anyhow::Result;
use catalog_tests::world::World;
use sqlx::{AssertSqlSafe, PgPool};

/// Bytes of WAL by the server and dead tuples of a schema: up to now, or in a span. PostgreSQL prunes some of
/// the tuples of a page when it reads it, so their number may fall too.
pub(crate) struct Written {
    pub(crate) wal: i64,
    pub(crate) dead: i64,
}

impl Written {
    pub(crate) async fn read(world: &World, schema: &str) -> Result<Self> {
        // A session reports what it has written when it ends, at the latest.
        world
            .until(
                "select count(*) = 0 from pg_stat_activity
                 where application_name = 'catalog-consumer' and datname = current_database()",
            )
            .await?;
        let wal = wal(world.pool()).await?;
        let dead = format!(
            "select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables where schemaname = '{schema}'"
        );
        Ok(Self { wal, dead: sqlx::query_scalar(AssertSqlSafe(dead)).fetch_one(world.pool()).await? })
    }

    pub(crate) const fn since(self, before: &Self) -> Self {
        Self { wal: self.wal - before.wal, dead: self.dead - before.dead }
    }
}

/// Where the server's WAL ends.
pub(crate) async fn wal(pool: &PgPool) -> Result<i64> {
    let wal = "select (pg_current_wal_insert_lsn() - '0/0')::bigint";
    Ok(sqlx::query_scalar(wal).fetch_one(pool).await?)
}

/// Autovacuum would take the dead tuples away before they are counted.
pub(crate) async fn keep_dead_tuples(pool: &PgPool, schema: &str) -> Result<()> {
    let switch_off = format!(
        "do $$ declare t regclass; begin
           for t in select oid from pg_class where relkind = 'r' and relnamespace = '{schema}'::regnamespace loop
             execute format('alter table %s set (autovacuum_enabled = off)', t);
           end loop;
         end $$"
    );
    sqlx::raw_sql(AssertSqlSafe(switch_off)).execute(pool).await?;
    Ok(())
}

/// Gathers the statistics that autovacuum would gather between two crawls.
pub(crate) async fn analyze(pool: &PgPool) -> Result<()> {
    sqlx::raw_sql("analyze").execute(pool).await?;
    Ok(())
}
