//! Datasets: the narrow stats first, whose version guard says who wins, then a probe of the winners'
//! hashes, then the wide rows of only what is new, changed or back from retirement. An unchanged crawl
//! costs the wide table no write, no lock and no WAL.

use std::collections::HashSet;

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::arrays::{Versions, column};
use crate::batch::{Applied, Dataset, Effect, Versioned, latest};

pub(super) async fn write(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Dataset>>,
) -> sqlx::Result<Vec<Applied>> {
    let mut applied = Vec::with_capacity(rows.len());
    let mut rows = latest(rows, &mut applied);
    if rows.is_empty() {
        return Ok(applied);
    }
    let winners = win_stats(tx, &rows).await?;
    rows.retain(|row| {
        let won = winners.contains(&key(row));
        if !won {
            applied.push(row.applied(Effect::Older));
        }
        won
    });
    let probed = probe(tx, &rows).await?;
    let mut wide = Wide::default();
    let mut flags = Wide::default();
    for (row, held) in rows.into_iter().zip(probed) {
        let effect = held.effect(&row);
        applied.push(row.applied(effect));
        if effect != Effect::Unchanged {
            wide.push(row, held.due);
        } else if held.retired_at != held.due {
            flags.push(row, held.due);
        }
    }
    upsert(tx, &wide).await?;
    set_retired_at(tx, &flags).await?;
    Ok(applied)
}

/// What a winner's row holds now.
#[derive(FromRow)]
struct Held {
    /// None where there is no row.
    content_hash: Option<Vec<u8>>,
    retired_at: Option<OffsetDateTime>,
    /// When the winner is retired: a replay brings versions that later runs did not see.
    due: Option<OffsetDateTime>,
}

impl Held {
    fn effect(&self, row: &Versioned<Dataset>) -> Effect {
        match &self.content_hash {
            None => Effect::New,
            Some(hash) if *hash == row.row.content.content_hash => Effect::Unchanged,
            Some(_) => Effect::Changed,
        }
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

type RowKey = (String, String, String);

fn key(row: &Versioned<Dataset>) -> RowKey {
    (row.region.name().to_owned(), row.row.domain.clone(), row.row.id.clone())
}

/// Writes the stats of the rows that are not older than what is there; tells which.
async fn win_stats(tx: &mut PgConnection, rows: &[Versioned<Dataset>]) -> sqlx::Result<HashSet<RowKey>> {
    let versions = Versions::of(rows);
    let won: Vec<RowKey> = sqlx::query_as(include_str!("../../sql/apply/win_stats.sql"))
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
        .fetch_all(tx)
        .await?;
    Ok(won.into_iter().collect())
}

/// What the rows' keys hold now, in the rows' order.
async fn probe(tx: &mut PgConnection, rows: &[Versioned<Dataset>]) -> sqlx::Result<Vec<Held>> {
    let versions = Versions::of(rows);
    sqlx::query_as(include_str!("../../sql/apply/probe_datasets.sql"))
        .bind(versions.regions)
        .bind(column(rows, |row| row.domain.as_str()))
        .bind(column(rows, |row| row.id.as_str()))
        .bind(versions.runs)
        .fetch_all(tx)
        .await
}

/// Brings rows back that are the same as before they were retired; with a replay the other way round.
async fn set_retired_at(tx: &mut PgConnection, Wide { rows, retired_at }: &Wide) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../sql/apply/set_retired_at.sql"))
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
    sqlx::query(include_str!("../../sql/apply/upsert_datasets.sql"))
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
