//! A partition that stalls, because another session locks a row that its next batch writes.

use anyhow::Result;
use sqlx::{Postgres, Transaction};

use super::World;

const KNOW_RUN: &str =
    "insert into runs (region, run, state) values ('us', $1, 'open') on conflict (region, run) do nothing";
const LOCK: &str = "select from socrata_hosts where host = (select min(host) from socrata_hosts) for update";

impl World {
    /// Locks a host that run `run` of `us` will write, until the transaction ends. Only the partition of hosts stalls: the
    /// run is inserted before, because other partitions would wait for a batch that inserts it and does not commit.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub async fn stall_hosts(&self, run: i64) -> Result<Transaction<'static, Postgres>> {
        sqlx::query(KNOW_RUN).bind(run).execute(self.pool()).await?;
        let mut other = self.pool().begin().await?;
        sqlx::query(LOCK).execute(&mut *other).await?;
        Ok(other)
    }
}
