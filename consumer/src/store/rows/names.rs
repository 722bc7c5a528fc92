//! Writes domains, hosts and agencies, with one statement per batch.

use std::sync::LazyLock;

use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{PgConnection, Postgres};

use super::arrays::{Versions, column};
use crate::decode::rows::{Agency, Domain, Host, Keyed, Versioned, latest};
use crate::model::effect::{Applied, Effect};
use crate::store::tables::statements::upsert_newer;
use crate::store::tables::{AGENCIES, DOMAINS, HOSTS};

static UPSERT_DOMAINS: LazyLock<String> = LazyLock::new(|| upsert_newer(&DOMAINS));
static UPSERT_HOSTS: LazyLock<String> = LazyLock::new(|| upsert_newer(&HOSTS));
static UPSERT_AGENCIES: LazyLock<String> = LazyLock::new(|| upsert_newer(&AGENCIES));

/// The index of a row, whether its version won, and whether the stored row had the same content (`None` if the row is new).
type Written = (i64, bool, Option<bool>);
type Upsert<'q> = QueryAs<'q, Postgres, Written, PgArguments>;

pub(super) async fn write_domains(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Domain>>,
) -> sqlx::Result<Vec<Applied>> {
    write(tx, &UPSERT_DOMAINS, rows, |upsert, rows| {
        upsert.bind(column(rows, |row| row.domain.as_str())).bind(column(rows, |row| row.declared_count))
    })
    .await
}

pub(super) async fn write_hosts(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Host>>,
) -> sqlx::Result<Vec<Applied>> {
    write(tx, &UPSERT_HOSTS, rows, |upsert, rows| {
        upsert.bind(column(rows, |row| row.host.as_str())).bind(column(rows, |row| row.domain.as_str()))
    })
    .await
}

pub(super) async fn write_agencies(
    tx: &mut PgConnection,
    rows: Vec<Versioned<Agency>>,
) -> sqlx::Result<Vec<Applied>> {
    write(tx, &UPSERT_AGENCIES, rows, |upsert, rows| {
        upsert.bind(column(rows, |row| row.host.as_str())).bind(column(rows, |row| row.agency.as_str()))
    })
    .await
}

/// Writes the last version of each key. The statement's parameters are the region, two columns and the version.
async fn write<T: Keyed>(
    tx: &mut PgConnection,
    statement: &'static str,
    rows: Vec<Versioned<T>>,
    columns: impl for<'q> FnOnce(Upsert<'q>, &'q [Versioned<T>]) -> Upsert<'q>,
) -> sqlx::Result<Vec<Applied>> {
    let mut applied = Vec::with_capacity(rows.len());
    let rows = latest(rows, &mut applied);
    let versions = Versions::of(&rows);
    let written = columns(sqlx::query_as(statement).bind(versions.regions), &rows)
        .bind(versions.runs)
        .bind(versions.pages)
        .bind(versions.observed_at)
        .fetch_all(tx)
        .await?;
    applied.extend(rows.iter().zip(written).map(|(row, (_, won, same))| row.applied(effect(won, same))));
    Ok(applied)
}

const fn effect(won: bool, same: Option<bool>) -> Effect {
    match (won, same) {
        (false, _) => Effect::Older,
        (true, None) => Effect::New,
        (true, Some(false)) => Effect::Changed,
        (true, Some(true)) => Effect::Unchanged,
    }
}
