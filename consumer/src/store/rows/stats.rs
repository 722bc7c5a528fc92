//! Writes the stats of datasets. They are written first: their version guard decides which version wins, and their row
//! locks block other versions of the same keys until the transaction ends.

use std::collections::HashMap;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, FromRow, PgConnection, Row};

use super::arrays::{Versions, column};
use crate::decode::rows::{Dataset, Versioned};

/// The result of writing a row's stats.
pub(super) enum Written {
    /// The stats were updated. The wide row has the same content and is not retired, so it stays as it is.
    Refreshed,
    /// The key is new.
    Inserted,
    /// The stats were updated, because the version is not older than the stored one.
    Won(Before),
    /// The stored version is newer.
    Older,
}

/// The stored values before the update, read under the row lock.
pub(super) struct Before {
    pub(super) last_run: i64,
    /// None for a row that was written before revisions existed.
    pub(super) content_hash: Option<Vec<u8>>,
}

/// Writes the stats of the rows whose version is not older than the stored one. Returns the results in the order of the
/// rows. This takes one statement, or two if a row is changed, older or retired.
pub(super) async fn write(
    tx: &mut PgConnection,
    rows: &[Versioned<Dataset<'_>>],
) -> sqlx::Result<Vec<Written>> {
    let write = sqlx::query_with(include_str!("../../../sql/apply/write_stats.sql"), bind(rows)?);
    let found = write.fetch_all(&mut *tx).await?;
    if found.len() == rows.len() && !is_any_inserted(&found)? {
        // All of them, so it doesn't matter which is which. Most batches end here.
        return Ok(rows.iter().map(|_| Written::Refreshed).collect());
    }
    let found: HashMap<_, bool> = found.iter().map(key_and_inserted).collect::<sqlx::Result<_>>()?;
    let inserted: Vec<Option<bool>> = rows.iter().map(|row| found.get(&key(row)).copied()).collect();
    let others = rows.iter().zip(&inserted).filter(|(_, inserted)| inserted.is_none());
    let others: Vec<_> = others.map(|(row, _)| *row).collect();
    let mut guarded = win(tx, &others).await?.into_iter();
    // A row that is missing here was deleted by hand between the two statements.
    let mut next = || guarded.next().map(Guarded::written).ok_or(sqlx::Error::RowNotFound);
    let written = inserted.into_iter().map(|inserted| match inserted {
        Some(true) => Ok(Written::Inserted),
        Some(false) => Ok(Written::Refreshed),
        None => next(),
    });
    written.collect()
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn key<'a>(row: &Versioned<Dataset<'a>>) -> Key<'a> {
    (row.region.name(), row.row.domain, row.row.id)
}

fn is_any_inserted(found: &[PgRow]) -> sqlx::Result<bool> {
    let inserted: Vec<bool> = found.iter().map(|row| row.try_get(3)).collect::<sqlx::Result<_>>()?;
    Ok(inserted.contains(&true))
}

fn key_and_inserted(row: &PgRow) -> sqlx::Result<(Key<'_>, bool)> {
    Ok(((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), row.try_get(3)?))
}

/// The result of the version guard for an existing row.
#[derive(FromRow)]
pub(crate) struct Guarded {
    pub(crate) won: bool,
    last_run: i64,
    pub(crate) content_hash: Option<Vec<u8>>,
}

impl Guarded {
    fn written(self) -> Written {
        let Self { won, last_run, content_hash } = self;
        if won { Written::Won(Before { last_run, content_hash }) } else { Written::Older }
    }
}

/// Updates the stats of existing rows if the version is not older. Locks all of the rows.
pub(crate) async fn win(
    tx: &mut PgConnection,
    rows: &[Versioned<Dataset<'_>>],
) -> sqlx::Result<Vec<Guarded>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let win = sqlx::query_as_with(include_str!("../../../sql/apply/win_stats.sql"), bind(rows)?);
    let guarded: Vec<Guarded> = win.fetch_all(tx).await?;
    if guarded.len() == rows.len() { Ok(guarded) } else { Err(sqlx::Error::RowNotFound) }
}

fn bind(rows: &[Versioned<Dataset<'_>>]) -> Result<PgArguments, sqlx::Error> {
    let versions = Versions::of(rows);
    let mut columns = PgArguments::default();
    columns.add(versions.regions).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.domain)).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.id)).map_err(sqlx::Error::Encode)?;
    columns.add(versions.runs).map_err(sqlx::Error::Encode)?;
    columns.add(versions.pages).map_err(sqlx::Error::Encode)?;
    columns.add(versions.observed_at).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.scanned.stats.page_views_total)).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.scanned.stats.page_views_last_month)).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.scanned.stats.page_views_last_week)).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.scanned.stats.download_count)).map_err(sqlx::Error::Encode)?;
    columns.add(column(rows, |row| row.scanned.content_hash.as_bytes())).map_err(sqlx::Error::Encode)?;
    Ok(columns)
}
