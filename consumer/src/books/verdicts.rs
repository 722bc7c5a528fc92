//! Verdicts in the database: what was decided of a run, and what follows from it for the datasets that the
//! run did not see. Whoever decides holds the one lock alone, so no batch comes between.

use anyhow::Context;
use catalog_shared::region::Region;
use catalog_shared::verdict::Decision;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunId {
    pub(crate) region: Region,
    pub(crate) run: u32,
}

impl RunId {
    pub(crate) fn number(self) -> i64 {
        i64::from(self.run)
    }
}

/// What is known of a run's verdict.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) state: Decision,
    pub(crate) reason: Option<String>,
    /// When the run ended that it speaks of.
    pub(crate) ended_at: Option<OffsetDateTime>,
    /// When the run of that number ended that has arrived here; none where none has.
    pub(crate) arrived: Option<OffsetDateTime>,
}

impl Known {
    /// Whether it speaks of the run that has arrived here. Where topics were made anew, and the verdicts were
    /// kept, there is an older run of the same number.
    pub(crate) fn is_of_its_run(&self) -> bool {
        self.ended_at == self.arrived
    }
}

/// What the topic (or this database, before) says of a run.
pub(crate) async fn find(tx: &mut PgConnection, id: RunId) -> anyhow::Result<Option<Known>> {
    type Row = (String, Option<String>, Option<OffsetDateTime>, Option<OffsetDateTime>);
    let found: Option<Row> = sqlx::query_as(include_str!("../../sql/books/find_verdict.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(tx)
        .await?;
    let known = |(state, reason, ended_at, arrived): Row| {
        Ok(Known { state: decision(&state)?, reason, ended_at, arrived })
    };
    found.map(known).transpose()
}

/// The state of a run and its reason, which stay as they are until the transaction ends; none where there
/// is no such run.
pub(crate) async fn state(
    tx: &mut PgConnection,
    id: RunId,
) -> sqlx::Result<Option<(String, Option<String>)>> {
    sqlx::query_as(include_str!("../../sql/books/find_state.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(tx)
        .await
}

/// Decides a run, and does what follows: an accepted run retires what it did not see, and a balanced one
/// makes those held before it superseded. Tells how many datasets were retired. The decision itself is not
/// in the outbox yet, for it may have come from the log: see [`enter`].
pub(crate) async fn decide(
    tx: &mut PgConnection,
    id: RunId,
    decision: Decision,
    reason: Option<&str>,
) -> sqlx::Result<i64> {
    sqlx::query(include_str!("../../sql/books/decide_run.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(decision.name())
        .bind(reason)
        .execute(&mut *tx)
        .await?;
    // Not for a released one: of two held runs a person may release the later one first.
    if decision == Decision::Balanced {
        supersede(tx, id).await?;
    }
    if decision.is_accepted() { retire(tx, id).await } else { Ok(0) }
}

async fn retire(tx: &mut PgConnection, id: RunId) -> sqlx::Result<i64> {
    let retired: i64 = sqlx::query_scalar(include_str!("../../sql/books/retire_stale_datasets.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_one(&mut *tx)
        .await?;
    sqlx::query(include_str!("../../sql/books/count_retired.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(retired)
        .execute(tx)
        .await?;
    Ok(retired)
}

async fn supersede(tx: &mut PgConnection, id: RunId) -> sqlx::Result<()> {
    let superseded: Vec<i64> = sqlx::query_scalar(include_str!("../../sql/books/supersede_runs.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_all(&mut *tx)
        .await?;
    enter_all(tx, id.region, &superseded).await
}

/// Puts what was decided of a run into the outbox, from where it goes to the topic.
pub(crate) async fn enter(tx: &mut PgConnection, id: RunId) -> sqlx::Result<()> {
    enter_all(tx, id.region, &[id.number()]).await
}

async fn enter_all(tx: &mut PgConnection, region: Region, runs: &[i64]) -> sqlx::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../../sql/books/enter_verdicts.sql"))
        .bind(region.name())
        .bind(runs)
        .execute(tx)
        .await?;
    Ok(())
}

/// Reads a decision of a table.
pub(crate) fn decision(name: &str) -> anyhow::Result<Decision> {
    Decision::from_name(name).with_context(|| format!("no verdict is called {name:?}"))
}
