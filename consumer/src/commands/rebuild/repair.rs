//! The repair: writes the rows that differ, and no others. A row that the database refuses does not hold up the rest.

use std::fmt;

use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::comparison::{Differing, TABLES, Table};
use crate::store::db_error::refuses_a_row;
use crate::store::rows::reason;

/// A row that the database refused to write or to delete.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedRow {
    table: &'static str,
    /// Its primary key, part by part.
    key: Vec<String>,
    reason: String,
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.table, self.key.join("/"), self.reason)
    }
}

/// Makes the tables equal. Returns the rows that the database refuses; they stay as they are and are marked so.
pub(super) async fn repair(tx: &mut PgConnection, found: &[Differing]) -> sqlx::Result<Vec<RefusedRow>> {
    sqlx::query(include_str!("../../../sql/rebuild/insert_missing_runs.sql")).execute(&mut *tx).await?;
    match repair_all(tx).await {
        Ok(()) => Ok(Vec::new()),
        Err(error) if refuses_a_row(&error) => repair_what_passes(tx, found).await,
        Err(error) => Err(error),
    }
}

/// All rows of all tables, or none.
async fn repair_all(tx: &mut PgConnection) -> sqlx::Result<()> {
    let mut savepoint = tx.begin().await?;
    for table in &TABLES {
        sqlx::query(table.repair).bind(0_i64).bind(i64::MAX).execute(&mut *savepoint).await?;
    }
    // A deferred constraint would speak up at the commit, when it is too late.
    sqlx::query("set constraints all immediate").execute(&mut *savepoint).await?;
    savepoint.commit().await
}

async fn repair_what_passes(tx: &mut PgConnection, found: &[Differing]) -> sqlx::Result<Vec<RefusedRow>> {
    sqlx::query("set constraints all immediate").execute(&mut *tx).await?;
    let mut refused = Vec::new();
    for table in &TABLES {
        let rows = found.iter().find(|found| found.counts.table == table.name);
        let last = rows.map_or(0, |found| found.counts.all());
        refused.extend(repair_table(tx, table, last).await?);
    }
    Ok(refused)
}

/// Finds the rows that are refused by halves, as batches are searched.
async fn repair_table(tx: &mut PgConnection, table: &Table, last: i64) -> sqlx::Result<Vec<RefusedRow>> {
    let mut refused = Vec::new();
    let mut parts = if last > 0 { vec![(1, last)] } else { Vec::new() };
    while let Some((first, last)) = parts.pop() {
        match repair_range(tx, table, (first, last)).await {
            Ok(()) => {}
            Err(error) if !refuses_a_row(&error) => return Err(error),
            Err(error) if first == last => {
                let key = sqlx::query_scalar(table.refuse).bind(first).fetch_one(&mut *tx).await?;
                refused.push(RefusedRow { table: table.name, key, reason: reason(&error) });
            }
            Err(_) => {
                let middle = first + (last - first) / 2;
                parts.extend([(middle + 1, last), (first, middle)]);
            }
        }
    }
    Ok(refused)
}

async fn repair_range(tx: &mut PgConnection, table: &Table, (first, last): (i64, i64)) -> sqlx::Result<()> {
    let mut savepoint = tx.begin().await?;
    sqlx::query(table.repair).bind(first).bind(last).execute(&mut *savepoint).await?;
    savepoint.commit().await
}
