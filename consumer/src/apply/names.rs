//! Domains, hosts and agencies: narrow rows, written in one statement each.

use sqlx::PgConnection;

use super::arrays::{Versions, column};
use crate::batch::{Agency, Applied, Domain, Effect, Host, Keyed, Versioned, latest};

/// Which of the rows given won, and whether the row before said the same; in the order given.
type Written = Vec<(i64, bool, Option<bool>)>;

pub(super) async fn write_domains(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Domain>>,
) -> sqlx::Result<Vec<Applied>> {
    let mut applied = Vec::with_capacity(rows.len());
    let rows = latest(rows, &mut applied);
    let versions = Versions::of(&rows);
    let written: Written = sqlx::query_as(include_str!("../../sql/upsert_domains.sql"))
        .bind(versions.regions)
        .bind(column(&rows, |row| row.domain.as_str()))
        .bind(column(&rows, |row| row.declared_count))
        .bind(versions.runs)
        .bind(versions.pages)
        .bind(versions.observed_at)
        .fetch_all(tx)
        .await?;
    applied.extend(effects(&rows, &written));
    Ok(applied)
}

pub(super) async fn write_hosts(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Host>>,
) -> sqlx::Result<Vec<Applied>> {
    write_pairs(tx, include_str!("../../sql/upsert_hosts.sql"), rows, |row| (&row.host, &row.domain)).await
}

pub(super) async fn write_agencies(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Agency>>,
) -> sqlx::Result<Vec<Applied>> {
    write_pairs(tx, include_str!("../../sql/upsert_agencies.sql"), rows, |row| (&row.host, &row.agency)).await
}

async fn write_pairs<T: Keyed>(
    tx: &mut PgConnection,
    upsert: &'static str,
    rows: Vec<Versioned<T>>,
    pair: impl Fn(&T) -> (&str, &str),
) -> sqlx::Result<Vec<Applied>> {
    let mut applied = Vec::with_capacity(rows.len());
    let rows = latest(rows, &mut applied);
    let versions = Versions::of(&rows);
    let written: Written = sqlx::query_as(upsert)
        .bind(versions.regions)
        .bind(column(&rows, |row| pair(row).0))
        .bind(column(&rows, |row| pair(row).1))
        .bind(versions.runs)
        .bind(versions.pages)
        .bind(versions.observed_at)
        .fetch_all(tx)
        .await?;
    applied.extend(effects(&rows, &written));
    Ok(applied)
}

fn effects<T>(rows: &[Versioned<T>], written: &Written) -> impl Iterator<Item = Applied> {
    rows.iter().zip(written).map(|(row, (_, won, same))| {
        row.applied(match (won, same) {
            (false, _) => Effect::Older,
            (true, None) => Effect::New,
            (true, Some(false)) => Effect::Changed,
            (true, Some(true)) => Effect::Unchanged,
        })
    })
}
