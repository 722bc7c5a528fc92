//! The contents of tables, in a form in which two databases or two points in time can be compared.

use anyhow::Result;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

/// The tables that are a view of the topics.
pub const CATALOG: [&str; 5] =
    ["socrata_datasets", "socrata_dataset_stats", "socrata_domains", "socrata_hosts", "socrata_agencies"];

/// The number of rows of a table, and a digest of their contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The table.
    pub table: &'static str,
    /// The number of rows.
    pub rows: i64,
    /// Equal if and only if the rows are equal.
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
