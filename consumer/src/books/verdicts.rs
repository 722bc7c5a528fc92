//! Verdicts in the database: what was decided of a run, and what follows from it for the datasets that the
//! run did not see. Whoever decides holds the one lock alone, so no batch comes between.

use anyhow::Context;
use catalog_shared::region::Region;
use catalog_shared::verdict::Decision;
use sqlx::PgConnection;

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

/// What the topic (or this database, before) says of a run.
pub(crate) async fn find(
    tx: &mut PgConnection,
    id: RunId,
) -> anyhow::Result<Option<(Decision, Option<String>)>> {
    let found: Option<(String, Option<String>)> =
        sqlx::query_as(include_str!("../../sql/books/find_verdict.sql"))
            .bind(id.region.name())
            .bind(id.number())
            .fetch_optional(tx)
            .await?;
    found.map(|(state, reason)| Ok((decision(&state)?, reason))).transpose()
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
