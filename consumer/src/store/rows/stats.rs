//! The stats of datasets, written first: their version guard decides who wins, and their row locks keep other versions
//! of the same keys waiting until the transaction ends.

use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{FromRow, PgConnection, Postgres};

use super::arrays::{Versions, column};
use crate::decode::rows::{Dataset, Versioned};

/// What became of a row's stats.
pub(super) enum Written {
    /// There were none for its key.
    Inserted,
    /// Its version was not older than what its key had before.
    Won(Before),
    /// The stored version is newer.
    Older,
}

/// What a key had before, read under the row's lock.
pub(super) struct Before {
    pub(super) last_run: i64,
    /// None for a row from before revisions.
    pub(super) content_hash: Option<Vec<u8>>,
}

/// Writes the stats of the rows whose version is not older than what is stored; shows what became of each, in the
/// rows' order.
pub(super) async fn write(tx: &mut PgConnection, rows: &[Versioned<Dataset>]) -> sqlx::Result<Vec<Written>> {
    let insert = sqlx::query_as(include_str!("../../../sql/apply/insert_stats.sql"));
    let inserted: Vec<(bool,)> = bind(insert, rows).fetch_all(&mut *tx).await?;
    let inserted: Vec<bool> = inserted.into_iter().map(|(inserted,)| inserted).collect();
    let mut guarded = if inserted.contains(&false) {
        win(tx, rows, &inserted).await?.into_iter()
    } else {
        Vec::new().into_iter()
    };
    // A row that is missing here was deleted by hand between the two statements.
    let mut next = || guarded.next().map(Guarded::written).ok_or(sqlx::Error::RowNotFound);
    inserted.into_iter().map(|inserted| if inserted { Ok(Written::Inserted) } else { next() }).collect()
}

/// What the version guard found of a row that was not inserted.
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

/// Updates the stats of the rows that were not inserted, where their version is not older. Takes their locks.
pub(crate) async fn win(
    tx: &mut PgConnection,
    rows: &[Versioned<Dataset>],
    inserted: &[bool],
) -> sqlx::Result<Vec<Guarded>> {
    let win = sqlx::query_as(include_str!("../../../sql/apply/win_stats.sql"));
    let guarded: Vec<Guarded> = bind(win, rows).bind(inserted).fetch_all(tx).await?;
    let expected = inserted.iter().filter(|inserted| !**inserted).count();
    if guarded.len() == expected { Ok(guarded) } else { Err(sqlx::Error::RowNotFound) }
}

type Query<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

fn bind<'q, T>(query: Query<'q, T>, rows: &'q [Versioned<Dataset>]) -> Query<'q, T> {
    let versions = Versions::of(rows);
    query
        .bind(versions.regions)
        .bind(column(rows, |row| row.domain.as_str()))
        .bind(column(rows, |row| row.id.as_str()))
        .bind(versions.runs)
        .bind(versions.pages)
        .bind(versions.observed_at)
        .bind(column(rows, |row| row.content.stats.page_views_total))
        .bind(column(rows, |row| row.content.stats.page_views_last_month))
        .bind(column(rows, |row| row.content.stats.page_views_last_week))
        .bind(column(rows, |row| row.content.stats.download_count))
        .bind(column(rows, |row| row.content.content_hash.as_slice()))
}
