//! The figures of regions and runs in the ledger, for metrics.

use std::collections::HashMap;

use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

/// The figures of all regions, and the open dead letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) regions: Vec<RegionFigures>,
    /// The number of open dead letters of each topic that has any.
    pub(crate) open_dead_letters: HashMap<String, i64>,
}

/// The figures of a region.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct RegionFigures {
    pub(crate) region: String,
    /// The end of the last judged full crawl of datasets, whatever the decision.
    pub(crate) full_run_ended_at: Option<OffsetDateTime>,
    /// The number of runs on hold.
    pub(crate) held: i64,
    /// The last run that ended, and its figures.
    pub(crate) run: Option<i64>,
    pub(crate) started_at: Option<OffsetDateTime>,
    pub(crate) ended_at: Option<OffsetDateTime>,
    pub(crate) published: Option<i64>,
    pub(crate) applied: Option<i64>,
    pub(crate) dead: Option<i64>,
    pub(crate) retired: Option<i64>,
}

/// Checks that the database answers.
///
/// # Errors
/// The error of the database.
pub(crate) async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("select").execute(pool).await.map(drop)
}

/// Reads the figures.
///
/// # Errors
/// The error of the database.
pub(crate) async fn read(pool: &PgPool) -> sqlx::Result<Figures> {
    let mut connection = pool.acquire().await?;
    let regions = sqlx::query_as(include_str!("../../sql/figures/regions.sql"));
    let regions = regions.fetch_all(&mut *connection).await?;
    let dead_letters = sqlx::query_as(include_str!("../../sql/figures/open_dead_letters.sql"));
    let dead_letters: Vec<(String, i64)> = dead_letters.fetch_all(&mut *connection).await?;
    Ok(Figures { regions, open_dead_letters: dead_letters.into_iter().collect() })
}
