//! Compares the five live tables with those of the shadow, in two steps: all rows are compared to find candidates, and the
//! candidates are compared again under the lock.

use std::sync::LazyLock;

use catalog_shared::record::RecordType;
use catalog_shared::topics::Topics;
use serde::Serialize;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{FromRow, PgConnection, Postgres};

use super::loss::KeptRows;
use crate::decode::content_hash::REVISION;
use crate::store::rows::datasets::newer_form;
use crate::store::tables::{TABLES, Table, statements};

/// The number of differing rows that are listed per table.
const MAX_LISTED: i64 = 20;

/// The statements for one table.
pub(super) struct TableStatements {
    pub(super) table: &'static Table,
    find_candidates: String,
    /// Adds candidates by key.
    pub(super) add_candidates: String,
    compare: String,
    count: String,
    count_made: String,
    list: String,
    /// Repairs a range of the numbered differing rows.
    pub(super) repair: String,
    /// Marks a differing row as refused, and returns its key.
    pub(super) mark_refused: String,
}

pub(super) static STATEMENTS: LazyLock<[TableStatements; 5]> = LazyLock::new(|| {
    TABLES.map(|table| TableStatements {
        table,
        find_candidates: statements::find_candidates(table),
        add_candidates: statements::add_candidates(table),
        compare: statements::compare(table),
        count: statements::count(table),
        count_made: statements::count_made(table),
        list: statements::list(table),
        repair: statements::repair(table),
        mark_refused: statements::mark_refused(table),
    })
});

/// The differences between a live table and the topics.
#[derive(Debug, Serialize)]
pub(crate) struct TableDiff {
    #[serde(flatten)]
    pub(crate) counts: DiffCounts,
    /// The first differing rows by key.
    pub(crate) listed: Vec<RowDiff>,
}

/// The number of differing rows of a table.
#[derive(Debug, FromRow, Serialize)]
pub(crate) struct DiffCounts {
    /// The table.
    #[sqlx(rename = "name")]
    pub(crate) table: String,
    /// Rows that the topics define. Counted after the lock is released.
    #[sqlx(default)]
    pub(crate) rows: i64,
    /// Rows that the table lacks.
    pub(crate) missing: i64,
    /// Rows with other content.
    pub(crate) different: i64,
    /// Rows that the topics don't define.
    pub(crate) extra: i64,
    /// Rows that the database refuses, so they stay as they are. Their newest record is a dead letter, or the rebuild
    /// failed to repair them.
    pub(crate) refused: i64,
    /// Rows that stay as they are, because the topics lost their records.
    pub(crate) kept: i64,
}

impl DiffCounts {
    /// Rows that need a repair.
    pub(crate) const fn differing(&self) -> i64 {
        self.missing + self.different + self.extra
    }

    /// All differing rows.
    pub(crate) const fn all(&self) -> i64 {
        self.reported() + self.kept
    }

    /// Rows that the report lists.
    pub(crate) const fn reported(&self) -> i64 {
        self.differing() + self.refused
    }
}

/// A differing row.
#[derive(Debug, FromRow, Serialize)]
pub(crate) struct RowDiff {
    /// `missing`, `different`, `extra` or `refused`.
    pub(crate) kind: String,
    /// Its primary key, part by part.
    pub(crate) key: Vec<String>,
    /// The columns that differ.
    pub(crate) columns: Vec<String>,
}

/// Compares all rows, and stores those that may differ in temporary tables of the session, with everything else that takes
/// longer with more rows. Rows of the shadow that the live ledger excludes or retires are changed in the shadow.
pub(super) async fn find_candidates(tx: &mut PgConnection, topics: &Topics) -> sqlx::Result<()> {
    bind_topics(include_str!("../../../sql/rebuild/drop_below_floors.sql"), topics).execute(&mut *tx).await?;
    let mut finders = vec![include_str!("../../../sql/rebuild/retire_shadow.sql")];
    finders.extend(STATEMENTS.iter().map(|statements| statements.find_candidates.as_str()));
    finders.push(include_str!("../../../sql/rebuild/create_unknown_runs.sql"));
    finders.push(include_str!("../../../sql/rebuild/create_row_counts.sql"));
    for finder in finders {
        sqlx::query(finder).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Drops what [`find_candidates`] stored.
pub(super) async fn drop_candidates(session: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/rebuild/drop_candidates.sql")).execute(session).await?;
    Ok(())
}

/// Finds the candidates that differ, and stores them in temporary tables until the transaction ends. Rows below the floors
/// are kept.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if a newer build wrote a row, or an error of the database.
pub(super) async fn compare(
    tx: &mut PgConnection,
    topics: &Topics,
    kept: &KeptRows<'_>,
) -> anyhow::Result<Vec<TableDiff>> {
    sqlx::query(include_str!("../../../sql/rebuild/analyze_candidates.sql")).execute(&mut *tx).await?;
    check_revisions(tx).await?;
    bind_topics(include_str!("../../../sql/rebuild/drop_candidates_below_floors.sql"), topics)
        .execute(&mut *tx)
        .await?;
    sqlx::query(include_str!("../../../sql/rebuild/retire_candidates.sql")).execute(&mut *tx).await?;
    sqlx::query(include_str!("../../../sql/rebuild/find_refused.sql")).execute(&mut *tx).await?;
    sqlx::query(include_str!("../../../sql/rebuild/create_floors.sql"))
        .bind(kept.floors.iter().map(|floor| floor.region.as_str()).collect::<Vec<_>>())
        .bind(kept.floors.iter().map(|floor| floor.run).collect::<Vec<_>>())
        .bind(&kept.topics)
        .execute(&mut *tx)
        .await?;
    for statements in STATEMENTS.iter() {
        sqlx::query(statements.compare.as_str())
            .bind(topics.data(statements.table.kind))
            .execute(&mut *tx)
            .await?;
    }
    bind_topics(include_str!("../../../sql/rebuild/keep_below_floors.sql"), topics).execute(&mut *tx).await?;
    Ok(list_differing(tx).await?)
}

/// Checks that no row has a form of a newer build.
async fn check_revisions(tx: &mut PgConnection) -> anyhow::Result<()> {
    let newer: Option<(String, i32)> =
        sqlx::query_as(include_str!("../../../sql/rebuild/find_newer_form.sql"))
            .bind(i32::from(REVISION))
            .fetch_optional(tx)
            .await?;
    newer.map_or(Ok(()), |(row, revision)| Err(newer_form(&row, revision).into()))
}

/// Counts the rows that the topics define, in a transaction that is rolled back. Not under the lock, because it reads whole
/// tables.
pub(super) async fn count_rows(
    tx: &mut PgConnection,
    topics: &Topics,
    tables: &mut [TableDiff],
) -> sqlx::Result<()> {
    bind_topics(include_str!("../../../sql/rebuild/drop_below_floors.sql"), topics).execute(&mut *tx).await?;
    for (statements, table) in STATEMENTS.iter().zip(tables) {
        table.counts.rows = sqlx::query_scalar(statements.count_made.as_str()).fetch_one(&mut *tx).await?;
    }
    Ok(())
}

/// Counts and lists the differing rows that [`compare`] found.
pub(super) async fn list_differing(tx: &mut PgConnection) -> sqlx::Result<Vec<TableDiff>> {
    let mut diffs = Vec::with_capacity(STATEMENTS.len());
    for statements in STATEMENTS.iter() {
        let counts = sqlx::query_as(statements.count.as_str()).fetch_one(&mut *tx).await?;
        let listed = sqlx::query_as(statements.list.as_str()).bind(MAX_LISTED).fetch_all(&mut *tx).await?;
        diffs.push(TableDiff { counts, listed });
    }
    Ok(diffs)
}

/// Binds the topics of datasets, domains, hosts and agencies to a statement.
fn bind_topics(statement: &'static str, topics: &Topics) -> Query<'static, Postgres, PgArguments> {
    let kinds = [RecordType::Datasets, RecordType::Domains, RecordType::Hosts, RecordType::Agencies];
    kinds.into_iter().fold(sqlx::query(statement), |query, kind| query.bind(topics.data(kind)))
}
