//! The repair: writes only the differing rows. A row that the database refuses does not block the others.

use std::fmt;

use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::comparison::{STATEMENTS, TableDiff, TableStatements};
use crate::store::db_error::refuses_a_row;
use crate::store::rows::reason;

/// A row that the database refused to write or to delete.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedRow {
    table: String,
    /// Its primary key, part by part.
    key: Vec<String>,
    reason: String,
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.table, self.key.join("/"), self.reason)
    }
}

/// Repairs the live tables. Returns the rows that the database refuses; they stay as they are and are marked as refused.
pub(super) async fn repair(tx: &mut PgConnection, found: &[TableDiff]) -> sqlx::Result<Vec<RefusedRow>> {
    sqlx::query(include_str!("../../../sql/rebuild/insert_missing_runs.sql")).execute(&mut *tx).await?;
    match repair_all(tx).await {
        Ok(()) => Ok(Vec::new()),
        Err(error) if refuses_a_row(&error) => repair_accepted(tx, found).await,
        Err(error) => Err(error),
    }
}

/// Repairs all rows of all tables, or none.
async fn repair_all(tx: &mut PgConnection) -> sqlx::Result<()> {
    let mut savepoint = tx.begin().await?;
    for table in STATEMENTS.iter() {
        sqlx::query(table.repair.as_str()).bind(0_i64).bind(i64::MAX).execute(&mut *savepoint).await?;
    }
    // A deferred constraint would fail only at the commit, which is too late.
    sqlx::query("set constraints all immediate").execute(&mut *savepoint).await?;
    savepoint.commit().await
}

async fn repair_accepted(tx: &mut PgConnection, found: &[TableDiff]) -> sqlx::Result<Vec<RefusedRow>> {
    sqlx::query("set constraints all immediate").execute(&mut *tx).await?;
    let mut refused = Vec::new();
    for (table, diff) in STATEMENTS.iter().zip(found) {
        refused.extend(repair_table(tx, table, diff).await?);
    }
    Ok(refused)
}

/// Repairs a table, and finds the refused rows by bisecting the batch, as a consumer does.
async fn repair_table(
    tx: &mut PgConnection,
    table: &'static TableStatements,
    diff: &TableDiff,
) -> sqlx::Result<Vec<RefusedRow>> {
    let (mut refused, last) = (Vec::new(), diff.counts.all());
    let mut parts = if last > 0 { vec![(1, last)] } else { Vec::new() };
    while let Some((first, last)) = parts.pop() {
        match repair_range(tx, table, (first, last)).await {
            Ok(()) => {}
            Err(error) if !refuses_a_row(&error) => return Err(error),
            Err(error) if first == last => {
                let key =
                    sqlx::query_scalar(table.mark_refused.as_str()).bind(first).fetch_one(&mut *tx).await?;
                refused.push(RefusedRow { table: diff.counts.table.clone(), key, reason: reason(&error) });
            }
            Err(_) => {
                let middle = first + (last - first) / 2;
                parts.extend([(middle + 1, last), (first, middle)]);
            }
        }
    }
    Ok(refused)
}

async fn repair_range(
    tx: &mut PgConnection,
    table: &'static TableStatements,
    (first, last): (i64, i64),
) -> sqlx::Result<()> {
    let mut savepoint = tx.begin().await?;
    sqlx::query(table.repair.as_str()).bind(first).bind(last).execute(&mut *savepoint).await?;
    savepoint.commit().await
}
