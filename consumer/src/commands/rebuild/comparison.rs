//! The five tables, compared with the shadow's and made equal to them.

use catalog_shared::record::RecordType;
use catalog_shared::topics::Topics;
use serde::Serialize;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{FromRow, PgConnection, Postgres};

use super::loss::Kept;
use crate::decode::content_hash::REVISION;
use crate::store::rows::datasets::newer_form;

/// How many of a table's differing rows are listed.
const LISTED: i64 = 20;

/// The statements of a table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// What its topic holds.
    kind: RecordType,
    compare: &'static str,
    list: &'static str,
    /// Repairs the differing rows of a range of places.
    pub(super) repair: &'static str,
    /// Marks a differing row as refused, and returns its key.
    pub(super) refuse: &'static str,
}

macro_rules! table {
    ($name:literal, $kind:ident) => {
        Table {
            name: concat!("socrata_", $name),
            kind: RecordType::$kind,
            compare: include_str!(concat!("../../../sql/rebuild/compare_", $name, ".sql")),
            list: include_str!(concat!("../../../sql/rebuild/list_", $name, ".sql")),
            repair: include_str!(concat!("../../../sql/rebuild/repair_", $name, ".sql")),
            refuse: include_str!(concat!("../../../sql/rebuild/refuse_", $name, ".sql")),
        }
    };
}

pub(super) const TABLES: [Table; 5] = [
    table!("datasets", Datasets),
    table!("dataset_stats", Datasets),
    table!("domains", Domains),
    table!("hosts", Hosts),
    table!("agencies", Agencies),
];

/// How a table differs from what the topics give.
#[derive(Debug, Serialize)]
pub(crate) struct Differing {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// The first of the rows by key.
    pub(crate) listed: Vec<DifferingRow>,
}

/// How many rows of a table differ.
#[derive(Debug, FromRow, Serialize)]
pub(crate) struct Counts {
    /// The table.
    #[sqlx(rename = "name")]
    pub(crate) table: String,
    /// How many rows the topics give.
    pub(crate) rows: i64,
    /// Rows that the table lacks.
    pub(crate) missing: i64,
    /// Rows that hold something else.
    pub(crate) different: i64,
    /// Rows that the topics don't give.
    pub(crate) extra: i64,
    /// Rows that the database refuses: they stay as they are. Their newest record is a dead letter, or the rebuild
    /// tried to repair them.
    pub(crate) refused: i64,
    /// Rows that stay as they are because the topics lost what they said before.
    pub(crate) kept: i64,
}

impl Counts {
    /// All rows that are not as they should be.
    pub(crate) const fn differing(&self) -> i64 {
        self.missing + self.different + self.extra
    }

    /// All rows that differ, whatever is done about them.
    pub(crate) const fn all(&self) -> i64 {
        self.reported() + self.kept
    }

    /// All rows that are told.
    pub(crate) const fn reported(&self) -> i64 {
        self.differing() + self.refused
    }
}

/// A row that is not as it should be.
#[derive(Debug, FromRow, Serialize)]
pub(crate) struct DifferingRow {
    /// missing, different, extra or refused.
    pub(crate) kind: String,
    /// Its primary key, part by part.
    pub(crate) key: Vec<String>,
    /// Where it is different.
    pub(crate) columns: Vec<String>,
}

/// Finds what differs. It stays known until the transaction ends. Rows below the floors stay as they are.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] where a row has the form of a newer build, or what the database said.
pub(super) async fn compare(
    tx: &mut PgConnection,
    topics: &Topics,
    kept: &Kept<'_>,
) -> anyhow::Result<Vec<Differing>> {
    let newer: Option<(String, i32)> =
        sqlx::query_as(include_str!("../../../sql/rebuild/find_newer_revision.sql"))
            .bind(i32::from(REVISION))
            .fetch_optional(&mut *tx)
            .await?;
    if let Some((row, revision)) = newer {
        return Err(newer_form(&row, revision).into());
    }
    bind_topics(include_str!("../../../sql/rebuild/drop_below_floors.sql"), topics).execute(&mut *tx).await?;
    sqlx::query(include_str!("../../../sql/rebuild/retire_shadow.sql")).execute(&mut *tx).await?;
    sqlx::query(include_str!("../../../sql/rebuild/find_refused.sql")).execute(&mut *tx).await?;
    sqlx::query(include_str!("../../../sql/rebuild/create_floors.sql"))
        .bind(kept.floors.iter().map(|floor| floor.region.as_str()).collect::<Vec<_>>())
        .bind(kept.floors.iter().map(|floor| floor.run).collect::<Vec<_>>())
        .bind(&kept.topics)
        .execute(&mut *tx)
        .await?;
    for table in &TABLES {
        sqlx::query(table.compare).bind(topics.data(table.kind)).execute(&mut *tx).await?;
    }
    bind_topics(include_str!("../../../sql/rebuild/keep_below_floors.sql"), topics).execute(&mut *tx).await?;
    Ok(differing(tx).await?)
}

/// Counts and lists what was found to differ.
pub(super) async fn differing(tx: &mut PgConnection) -> sqlx::Result<Vec<Differing>> {
    let mut counts: Vec<Counts> =
        sqlx::query_as(include_str!("../../../sql/rebuild/count_differing.sql")).fetch_all(&mut *tx).await?;
    let mut differing = Vec::with_capacity(TABLES.len());
    for counts in counts.drain(..) {
        let table = TABLES.iter().find(|table| table.name == counts.table).ok_or(sqlx::Error::RowNotFound)?;
        let listed = sqlx::query_as(table.list).bind(LISTED).fetch_all(&mut *tx).await?;
        differing.push(Differing { counts, listed });
    }
    Ok(differing)
}

/// A statement that takes the topics of datasets, domains, hosts and agencies.
fn bind_topics(statement: &'static str, topics: &Topics) -> Query<'static, Postgres, PgArguments> {
    let kinds = [RecordType::Datasets, RecordType::Domains, RecordType::Hosts, RecordType::Agencies];
    kinds.into_iter().fold(sqlx::query(statement), |query, kind| query.bind(topics.data(kind)))
}
