//! What the tables say, in a form that two databases or two moments can be compared by.

use anyhow::Result;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

/// The tables that are a view of the topics.
pub const CATALOG: [&str; 5] =
    ["socrata_datasets", "socrata_dataset_stats", "socrata_domains", "socrata_hosts", "socrata_agencies"];

/// How many rows a table has, and a digest of all that they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The table.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: i64,
    /// The same where, and only where, the rows are.
    pub digest: String,
}

/// The contents of some tables.
pub(super) async fn contents(pool: &PgPool, schema: &str, tables: &[&'static str]) -> Result<Vec<Contents>> {
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        let query = format!(
            "select count(*), coalesce(md5(string_agg(row::text, E'\\n' order by row::text)), '')
             from \"{schema}\".{table} as row"
        );
        let (rows, digest) = sqlx::query_as(AssertSqlSafe(query)).fetch_one(pool).await?;
        all.push(Contents { table, rows, digest });
    }
    Ok(all)
}
