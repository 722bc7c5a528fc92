//! Writes the rows of a batch: all at once, or without those that the database refuses.

use std::ops::Range;

use sqlx::{Connection, PgConnection};
use thiserror::Error;

use crate::decode::rows::Rows;
use crate::decode::{Dead, decode};
use crate::model::batch::Batch;
use crate::model::effect::Applied;
use crate::store::{database, db_error};

mod arrays;
mod copy;
pub(crate) mod datasets;
mod names;
pub(crate) mod stats;
mod wide;
mod winner;

/// Whether new datasets are written with COPY, which is quicker for many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CopyRows {
    /// If there are at least so many.
    From(usize),
    Never,
}

/// The number of new datasets from which COPY is quicker, with its check and its savepoint. In unit tests it is small, so
/// that the properties of histories, races and crashes cover COPY.
const COPY_FROM: usize = if cfg!(test) { 2 } else { 100 };

/// The database refused a row, so the transaction failed.
#[derive(Debug, Error)]
#[error("the database refuses a row")]
pub(crate) struct Refused(#[source] pub(crate) sqlx::Error);

/// Writes rows.
///
/// # Errors
/// [`Refused`] if the database might accept fewer rows, [`catalog_shared::exit::Stop::Guard`] if a newer build wrote a
/// row, or another error of the database.
pub(crate) async fn write_all(tx: &mut PgConnection, rows: Rows<'_>) -> anyhow::Result<Vec<Applied>> {
    write(tx, rows, CopyRows::From(COPY_FROM)).await.map_err(|error| match error.downcast() {
        Ok(error) => refused_or(error, "can't write the rows"),
        Err(error) => error,
    })
}

/// Checks the deferred constraints now, instead of at the commit.
///
/// # Errors
/// Same as [`write_all`].
pub(crate) async fn check_deferred(tx: &mut PgConnection) -> anyhow::Result<()> {
    let checked = sqlx::query("set constraints all immediate").execute(tx).await;
    checked.map(drop).map_err(|error| refused_or(error, "can't check the constraints"))
}

fn refused_or(error: sqlx::Error, otherwise: &'static str) -> anyhow::Error {
    if db_error::refuses_a_row(&error) {
        Refused(error).into()
    } else {
        anyhow::Error::from(error).context(otherwise)
    }
}

/// Writes the rows of a batch, except those that the database refuses. These are found by bisection and added to `dead`.
///
/// If versions of a key are in different halves, the version guard decides between them, as it does between batches. The
/// rows are not locked in the usual order, so a deadlock is possible; it is retried.
pub(crate) async fn write_accepted(
    tx: &mut PgConnection,
    batch: &Batch,
    dead: &mut Vec<Dead>,
) -> anyhow::Result<Vec<Applied>> {
    // Deferred constraints would fail only at the commit, where the row is unknown.
    sqlx::query("set constraints all immediate").execute(&mut *tx).await?;
    let mut applied = Vec::with_capacity(batch.records.len());
    let whole: Range<usize> = 0..batch.records.len();
    let mut parts = vec![whole];
    while let Some(part) = parts.pop() {
        match attempt(tx, decode(batch.topic_partition.kind, &batch.records[part.clone()]).rows).await {
            Ok(records) => applied.extend(records),
            Err(error) => match refusal(&error) {
                None => return Err(error),
                Some(refusal) if part.len() == 1 => {
                    let offset = batch.records[part.start].offset;
                    dead.push(Dead { offset, reason: reason(refusal), refused: true });
                }
                Some(_) => {
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
            },
        }
    }
    dead.sort_by_key(|dead| dead.offset);
    Ok(applied)
}

/// The database's error, if it refused a row.
fn refusal(error: &anyhow::Error) -> Option<&sqlx::Error> {
    error.downcast_ref().filter(|error| db_error::refuses_a_row(error))
}

async fn attempt(tx: &mut PgConnection, rows: Rows<'_>) -> anyhow::Result<Vec<Applied>> {
    let mut savepoint = tx.begin().await?;
    let written = write(&mut savepoint, rows, CopyRows::Never).await;
    match &written {
        Ok(_) => savepoint.commit().await?,
        Err(_) => savepoint.rollback().await?,
    }
    written
}

/// The reason for a dead letter: the database's message about the refused row.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    let code = database::code(error).unwrap_or_default();
    format!("the database refuses it: {} (SQLSTATE {code})", database::message(error))
}

/// Writes rows.
///
/// # Errors
/// The error of the database, or [`catalog_shared::exit::Stop::Guard`] if a newer build wrote a row.
pub(crate) async fn write(
    tx: &mut PgConnection,
    rows: Rows<'_>,
    copy: CopyRows,
) -> anyhow::Result<Vec<Applied>> {
    Ok(match rows {
        Rows::Datasets(rows) => datasets::write(tx, rows, copy).await?,
        Rows::Domains(rows) => names::write_domains(tx, rows).await?,
        Rows::Hosts(rows) => names::write_hosts(tx, rows).await?,
        Rows::Agencies(rows) => names::write_agencies(tx, rows).await?,
        Rows::None => Vec::new(),
    })
}
