//! Datasets: the narrow stats first, whose version guard decides who wins and which hold the hash of what is stored;
//! then the wide rows of only what is new, changed or back from retirement. An unchanged crawl costs the wide table no
//! write, no lock, no look-up and no WAL.

use catalog_shared::exit::Stop;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::arrays::{Versions, column};
use super::stats::{self, Before, Written};
use crate::decode::content_hash::{Compared, REVISION, compare, stored_hash};
use crate::decode::rows::{Dataset, Versioned, latest};
use crate::model::effect::{Applied, Effect};

pub(super) async fn write(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Dataset>>,
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
            Written::Older => applied.push(row.applied(Effect::Older)),
            Written::Inserted => winners.push(row, None, Change::New),
            Written::Won(before) => {
                let change = Change::of(&row, &before)?;
                winners.push(row, Some(before), change);
            }
        }
    }
    winners.look_at_older_forms(tx).await?;
    applied.extend(winners.write(tx).await?);
    Ok(applied)
}

/// What a winner does to the wide row of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    New,
    Changed,
    Unchanged,
    /// The content is the same, and the row gets the form of this revision.
    Reformed,
    /// The stored row has an older form: its object has to be looked at.
    Unknown,
}

impl Change {
    /// # Errors
    /// [`Stop::Guard`] where the stored row has a newer form.
    fn of(row: &Versioned<Dataset>, before: &Before) -> Result<Self, Stop> {
        Ok(match compare(before.content_hash.as_deref(), &row.row.content.content_hash) {
            Compared::Same => Self::Unchanged,
            Compared::OlderForm => Self::Reformed,
            Compared::Unknown => Self::Unknown,
            Compared::Different => Self::Changed,
            Compared::Newer(revision) => return Err(newer_form(&name(row), revision.into())),
        })
    }

    const fn effect(self) -> Effect {
        match self {
            Self::New => Effect::New,
            Self::Changed | Self::Unknown => Effect::Changed,
            Self::Unchanged | Self::Reformed => Effect::Unchanged,
        }
    }
}

fn name(row: &Versioned<Dataset>) -> String {
    format!("{}/{}/{}", row.region.name(), row.row.domain, row.row.id)
}

/// A row has the form of a newer revision than this program's.
pub(crate) fn newer_form(row: &str, revision: i32) -> Stop {
    Stop::Guard(format!(
        "the row of {row} in socrata_datasets was written by a newer build (form {revision}, this one writes {REVISION}). \
         Nothing was written over it. Upgrade this program, then start it again"
    ))
}

/// The rows that won by their versions, in the order of their keys.
#[derive(Default)]
struct Winners {
    rows: Vec<Versioned<Dataset>>,
    changes: Vec<Change>,
    /// The run in which each was last seen; none for a new one.
    seen_before: Vec<Option<i64>>,
}

/// When runs retire a row.
#[derive(FromRow)]
struct Retirement {
    /// As it was last seen, which is what the wide row has.
    retired_at: Option<OffsetDateTime>,
    /// As it is seen now: a replay brings versions that later runs did not see.
    due: Option<OffsetDateTime>,
}

impl Winners {
    fn push(&mut self, row: Versioned<Dataset>, before: Option<Before>, change: Change) {
        self.rows.push(row);
        self.changes.push(change);
        self.seen_before.push(before.map(|before| before.last_run));
    }

    /// Compares rows of an older form with the stored objects. Only the first crawl after an upgrade has some.
    async fn look_at_older_forms(&mut self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let places: Vec<usize> =
            (0..self.rows.len()).filter(|place| self.changes[*place] == Change::Unknown).collect();
        if places.is_empty() {
            return Ok(());
        }
        let keys: Vec<&Versioned<Dataset>> = places.iter().map(|place| &self.rows[*place]).collect();
        let stored: Vec<(i64, String, Vec<String>)> =
            sqlx::query_as(include_str!("../../../sql/apply/read_stored.sql"))
                .bind(keys.iter().map(|row| row.region.name()).collect::<Vec<_>>())
                .bind(keys.iter().map(|row| row.row.domain.as_str()).collect::<Vec<_>>())
                .bind(keys.iter().map(|row| row.row.id.as_str()).collect::<Vec<_>>())
                .fetch_all(tx)
                .await?;
        for (number, record, unreadable) in stored {
            let place = usize::try_from(number - 1).ok().and_then(|number| places.get(number).copied());
            let Some(place) = place else { continue };
            let hash = stored_hash(&record, unreadable);
            if hash.as_ref() == Some(&self.rows[place].row.content.content_hash) {
                self.changes[place] = Change::Reformed;
            }
        }
        Ok(())
    }

    /// Writes the wide rows of what is new, changed, or retired at another time than before.
    async fn write(self, tx: &mut PgConnection) -> sqlx::Result<Vec<Applied>> {
        let retirements = self.retirements(tx).await?;
        let (mut wide, mut flags) = (Wide::default(), Wide::default());
        let mut applied = Vec::with_capacity(self.rows.len());
        for ((row, change), Retirement { retired_at, due }) in
            self.rows.into_iter().zip(self.changes).zip(retirements)
        {
            applied.push(row.applied(change.effect()));
            if change != Change::Unchanged {
                wide.push(row, due);
            } else if retired_at != due {
                flags.push(row, due);
            }
        }
        upsert(tx, &wide).await?;
        set_retired_at(tx, &flags).await?;
        Ok(applied)
    }

    async fn retirements(&self, tx: &mut PgConnection) -> sqlx::Result<Vec<Retirement>> {
        let versions = Versions::of(&self.rows);
        sqlx::query_as(include_str!("../../../sql/apply/probe_datasets.sql"))
            .bind(versions.regions)
            .bind(column(&self.rows, |row| row.domain.as_str()))
            .bind(versions.runs)
            .bind(&self.seen_before)
            .fetch_all(tx)
            .await
    }
}

/// Rows to write to the wide table, and when each is retired.
#[derive(Default)]
struct Wide {
    rows: Vec<Versioned<Dataset>>,
    retired_at: Vec<Option<OffsetDateTime>>,
}

impl Wide {
    fn push(&mut self, row: Versioned<Dataset>, retired_at: Option<OffsetDateTime>) {
        self.rows.push(row);
        self.retired_at.push(retired_at);
    }
}

/// Brings rows back that are the same as before they were retired; with a replay the other way round.
async fn set_retired_at(tx: &mut PgConnection, Wide { rows, retired_at }: &Wide) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../../sql/apply/set_retired_at.sql"))
        .bind(Versions::of(rows).regions)
        .bind(column(rows, |row| row.domain.as_str()))
        .bind(column(rows, |row| row.id.as_str()))
        .bind(retired_at)
        .execute(tx)
        .await?;
    Ok(())
}

async fn upsert(tx: &mut PgConnection, Wide { rows, retired_at }: &Wide) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = |value: fn(&Dataset) -> Option<&str>| column(rows, value);
    sqlx::query(include_str!("../../../sql/apply/upsert_datasets.sql"))
        .bind(Versions::of(rows).regions)
        .bind(column(rows, |row| row.domain.as_str()))
        .bind(column(rows, |row| row.id.as_str()))
        .bind(text(|row| row.content.typed.name.as_deref()))
        .bind(text(|row| row.content.typed.kind.as_deref()))
        .bind(text(|row| row.content.typed.description.as_deref()))
        .bind(text(|row| row.content.typed.attribution.as_deref()))
        .bind(text(|row| row.content.typed.attribution_link.as_deref()))
        .bind(text(|row| row.content.typed.category.as_deref()))
        .bind(text(|row| row.content.typed.categories.as_deref()))
        .bind(text(|row| row.content.typed.tags.as_deref()))
        .bind(text(|row| row.content.typed.domain_tags.as_deref()))
        .bind(text(|row| row.content.typed.domain_metadata.as_deref()))
        .bind(text(|row| row.content.typed.license.as_deref()))
        .bind(text(|row| row.content.typed.provenance.as_deref()))
        .bind(text(|row| row.content.typed.permalink.as_deref()))
        .bind(text(|row| row.content.typed.link.as_deref()))
        .bind(text(|row| row.content.typed.parent_ids.as_deref()))
        .bind(text(|row| row.content.typed.columns.as_deref()))
        .bind(column(rows, |row| row.content.typed.created_at))
        .bind(column(rows, |row| row.content.typed.updated_at))
        .bind(column(rows, |row| row.content.typed.metadata_updated_at))
        .bind(column(rows, |row| row.content.typed.data_updated_at))
        .bind(column(rows, |row| row.content.typed.publication_date))
        .bind(column(rows, |row| row.content.record.as_str()))
        .bind(column(rows, |row| row.content.unreadable.as_str()))
        .bind(column(rows, |row| row.content.content_hash.as_slice()))
        .bind(retired_at)
        .execute(tx)
        .await?;
    Ok(())
}
