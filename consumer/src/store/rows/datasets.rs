//! Writes datasets. The narrow stats come first: their version guard decides which version wins, and they contain the hash
//! of the stored content. The wide rows follow, but only those that are new, changed, retired or restored. An unchanged
//! crawl does not write, lock or read the wide table, and writes no WAL for it.

use catalog_shared::exit::Stop;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::CopyRows;
use super::arrays::{Versions, column};
use super::stats::{self, Before, Written};
use super::wide;
use super::winner::{Winner, name};
use crate::decode::content_hash::{Compared, REVISION, compare};
use crate::decode::rows::{Dataset, Versioned, latest};
use crate::decode::stored_hash::stored_hash;
use crate::model::effect::{Applied, Effect};

pub(super) async fn write(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Dataset<'_>>>,
    copy: CopyRows,
) -> anyhow::Result<Vec<Applied>> {
    let mut applied = Vec::with_capacity(rows.len());
    let rows = latest(rows, &mut applied);
    if rows.is_empty() {
        return Ok(applied);
    }
    let written = stats::write(tx, &rows).await?;
    let mut winners = Winners::default();
    for (row, written) in rows.into_iter().zip(written) {
        match written {
            Written::Refreshed => applied.push(row.applied(Effect::Unchanged)),
            Written::Older => applied.push(row.applied(Effect::Older)),
            Written::Inserted => winners.push(row, None, Change::New),
            Written::Won(before) => {
                let change = Change::of(&row, &before)?;
                winners.push(row, Some(before), change);
            }
        }
    }
    if !winners.rows.is_empty() {
        winners.compare_older_forms(tx).await?;
        applied.extend(winners.write(tx, copy).await?);
    }
    Ok(applied)
}

/// The change that a winning version makes to the wide row of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    New,
    Changed,
    Unchanged,
    /// The content is the same, and the row is rewritten in the form of this revision.
    FormOnly,
    /// The stored row has an older form, so its object must be compared.
    Unknown,
}

impl Change {
    /// # Errors
    /// [`Stop::Guard`] if the stored row has the form of a newer revision.
    fn of(row: &Versioned<Dataset<'_>>, before: &Before) -> Result<Self, Stop> {
        Ok(match compare(before.content_hash.as_deref(), row.row.scanned.content_hash) {
            Compared::Same => Self::Unchanged,
            Compared::OlderForm => Self::FormOnly,
            Compared::Unknown => Self::Unknown,
            Compared::Different => Self::Changed,
            Compared::Newer(revision) => return Err(newer_form(&name(row), revision.into())),
        })
    }

    const fn effect(self) -> Effect {
        match self {
            Self::New => Effect::New,
            Self::Changed | Self::Unknown => Effect::Changed,
            Self::Unchanged | Self::FormOnly => Effect::Unchanged,
        }
    }
}

/// The error if a row has the form of a newer revision than this program's.
pub(crate) fn newer_form(row: &str, revision: i32) -> Stop {
    Stop::Guard(format!(
        "the row of {row} in socrata_datasets was written by a newer build (form {revision}, this one writes {REVISION}). \
         The row was not changed. Upgrade this program, then start it again"
    ))
}

/// The rows whose version won, sorted by key.
#[derive(Default)]
struct Winners<'a> {
    rows: Vec<Versioned<Dataset<'a>>>,
    changes: Vec<Change>,
    /// For each row the run that saw it last. None for new rows.
    seen_before: Vec<Option<i64>>,
}

/// When a row is retired, by the decisions about runs.
#[derive(FromRow)]
struct Retirement {
    /// By the run that saw it before. The wide row contains this value.
    retired_at: Option<OffsetDateTime>,
    /// By the run that sees it now. In a replay, later runs may not have seen it.
    due: Option<OffsetDateTime>,
}

impl<'a> Winners<'a> {
    fn push(&mut self, row: Versioned<Dataset<'a>>, before: Option<Before>, change: Change) {
        self.rows.push(row);
        self.changes.push(change);
        self.seen_before.push(before.map(|before| before.last_run));
    }

    /// Compares the stored objects of rows with an older form. There are some only in the first crawl after an upgrade.
    async fn compare_older_forms(&mut self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let indexes: Vec<usize> =
            (0..self.rows.len()).filter(|index| self.changes[*index] == Change::Unknown).collect();
        if indexes.is_empty() {
            return Ok(());
        }
        let keys: Vec<&Versioned<Dataset<'a>>> = indexes.iter().map(|index| &self.rows[*index]).collect();
        let stored: Vec<(i64, String, Vec<String>)> =
            sqlx::query_as(include_str!("../../../sql/apply/read_stored.sql"))
                .bind(keys.iter().map(|row| row.region.name()).collect::<Vec<_>>())
                .bind(keys.iter().map(|row| row.row.domain).collect::<Vec<_>>())
                .bind(keys.iter().map(|row| row.row.id).collect::<Vec<_>>())
                .fetch_all(tx)
                .await?;
        for (number, record, unreadable) in stored {
            let index = usize::try_from(number - 1).ok().and_then(|number| indexes.get(number).copied());
            let Some(index) = index else { continue };
            let hash = stored_hash(&record, unreadable);
            if hash == Some(self.rows[index].row.scanned.content_hash) {
                self.changes[index] = Change::FormOnly;
            }
        }
        Ok(())
    }

    /// Writes the wide rows that are new, changed, or retired at another time than before.
    async fn write(self, tx: &mut PgConnection, copy: CopyRows) -> anyhow::Result<Vec<Applied>> {
        let retirements = self.retirements(tx).await?;
        let (mut wide, mut flags) = (Vec::new(), Retired::default());
        let mut applied = Vec::with_capacity(self.rows.len());
        for ((row, change), Retirement { retired_at, due }) in
            self.rows.into_iter().zip(self.changes).zip(retirements)
        {
            applied.push(row.applied(change.effect()));
            if change != Change::Unchanged {
                wide.push(Winner { row, is_new: change == Change::New, retired_at: due });
            } else if retired_at != due {
                flags.push(row, due);
            }
        }
        wide::write(tx, &wide, copy).await?;
        set_retired_at(tx, &flags).await?;
        Ok(applied)
    }

    async fn retirements(&self, tx: &mut PgConnection) -> sqlx::Result<Vec<Retirement>> {
        let versions = Versions::of(&self.rows);
        sqlx::query_as(include_str!("../../../sql/apply/probe_datasets.sql"))
            .bind(versions.regions)
            .bind(column(&self.rows, |row| row.domain))
            .bind(versions.runs)
            .bind(&self.seen_before)
            .fetch_all(tx)
            .await
    }
}

/// Rows whose content stays, and when each is retired.
#[derive(Default)]
struct Retired<'a> {
    rows: Vec<Versioned<Dataset<'a>>>,
    retired_at: Vec<Option<OffsetDateTime>>,
}

impl<'a> Retired<'a> {
    fn push(&mut self, row: Versioned<Dataset<'a>>, retired_at: Option<OffsetDateTime>) {
        self.rows.push(row);
        self.retired_at.push(retired_at);
    }
}

/// Restores rows whose content has not changed since they were retired. In a replay, it may also retire them.
async fn set_retired_at(
    tx: &mut PgConnection,
    Retired { rows, retired_at }: &Retired<'_>,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../../sql/apply/set_retired_at.sql"))
        .bind(Versions::of(rows).regions)
        .bind(column(rows, |row| row.domain))
        .bind(column(rows, |row| row.id))
        .bind(retired_at)
        .execute(tx)
        .await?;
    Ok(())
}
