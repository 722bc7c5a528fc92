//! Verdicts in the database: what the rules and people say about a run, and what follows for the datasets that the
//! run did not see. Whoever changes a verdict holds the exclusive lock, so that no batch is applied meanwhile.

use catalog_shared::region::Region;
use catalog_shared::verdict::{Decision, Verdict};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunId {
    pub(crate) region: Region,
    pub(crate) run: u32,
}

impl RunId {
    pub(crate) const fn of(verdict: &Verdict) -> Self {
        Self { region: verdict.region, run: verdict.run }
    }

    pub(crate) fn number(self) -> i64 {
        i64::from(self.run)
    }
}

/// What is known of a run's verdict.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) verdict: Verdict,
    /// When the run of that number ended that has arrived here; none where none has.
    pub(crate) arrived: Option<OffsetDateTime>,
}

impl Known {
    /// Whether it is the verdict of the run that has arrived here. Where topics were deleted and created again, and
    /// the verdicts were kept, there is an older run of the same number.
    pub(crate) fn is_of_its_run(&self) -> bool {
        self.verdict.ended_at == self.arrived
    }
}

/// What the topic, or this database before, says about a run.
pub(crate) async fn find(tx: &mut PgConnection, id: RunId) -> sqlx::Result<Option<Known>> {
    type Row = (Json<Verdict>, Option<OffsetDateTime>);
    let found: Option<Row> = sqlx::query_as(include_str!("../../../sql/ledger/find_decision.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(tx)
        .await?;
    Ok(found.map(|(Json(verdict), arrived)| Known { verdict, arrived }))
}

/// The state of a run, and when it ended. Both stay as they are until the transaction ends. None where there is
/// no such run.
pub(crate) async fn state(
    tx: &mut PgConnection,
    id: RunId,
) -> sqlx::Result<Option<(String, Option<OffsetDateTime>)>> {
    sqlx::query_as(include_str!("../../../sql/ledger/lock_run.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(tx)
        .await
}

/// Keeps a verdict. One that is not published goes to the topic from here.
pub(crate) async fn store(tx: &mut PgConnection, verdict: &Verdict, published: bool) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/ledger/store_decision.sql"))
        .bind(verdict.region.name())
        .bind(i64::from(verdict.run))
        .bind(Json(verdict))
        .bind(published)
        .execute(tx)
        .await?;
    Ok(())
}

/// How many datasets a change has retired, and how many it has brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub(crate) struct Moved {
    pub(crate) retired: i64,
    pub(crate) returned: i64,
}

/// Gives effect to the verdict that is kept of a run: its state, its shields, what it supersedes, and what is
/// retired.
pub(crate) async fn take_effect(tx: &mut PgConnection, verdict: &Verdict) -> sqlx::Result<Moved> {
    let id = RunId::of(verdict);
    let was_accepted = state(tx, id)
        .await?
        .is_some_and(|(state, _)| Decision::from_name(&state).is_some_and(Decision::is_accepted));
    enter_state(tx, verdict).await?;
    if !was_accepted && !verdict.state().is_accepted() {
        return Ok(Moved::default());
    }
    let moved = retire(tx, id.region, id.number(), None).await?;
    sqlx::query(include_str!("../../../sql/ledger/count_retired.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(moved.retired - moved.returned)
        .execute(tx)
        .await?;
    Ok(moved)
}

/// Enters a run's state and shields, and what that makes of the runs on hold. The datasets are left as they are.
pub(crate) async fn enter_state(tx: &mut PgConnection, verdict: &Verdict) -> sqlx::Result<()> {
    let id = RunId::of(verdict);
    sqlx::query(include_str!("../../../sql/ledger/set_run_state.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(verdict.state().name())
        .bind(&verdict.judged.reason)
        .execute(&mut *tx)
        .await?;
    enter_shields(tx, verdict).await?;
    derive_superseded(tx, id.region).await
}

async fn enter_shields(tx: &mut PgConnection, verdict: &Verdict) -> sqlx::Result<()> {
    let judged = &verdict.judged;
    let kept: Vec<&str> = verdict.shields().map(|(domain, _)| domain).collect();
    let domains: Vec<&str> = judged.shields.keys().map(String::as_str).collect();
    let confirmed = |domain: &&str| judged.confirmed.get(*domain).map(|run| i64::from(*run));
    sqlx::query(include_str!("../../../sql/ledger/upsert_shields.sql"))
        .bind(verdict.region.name())
        .bind(i64::from(verdict.run))
        .bind(&domains)
        .bind(judged.shields.values().map(String::as_str).collect::<Vec<_>>())
        .bind(domains.iter().map(confirmed).collect::<Vec<_>>())
        .bind(domains.iter().map(|domain| !kept.contains(domain)).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Which runs on hold are superseded follows from the runs that are balanced now, and from what they cover.
pub(crate) async fn derive_superseded(tx: &mut PgConnection, region: Region) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/ledger/derive_superseded.sql"))
        .bind(region.name())
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives datasets that were last seen before a run (of these domains, or of all) the `retired_at` that follows
/// from the runs now.
pub(crate) async fn retire(
    tx: &mut PgConnection,
    region: Region,
    before: i64,
    domains: Option<&[String]>,
) -> sqlx::Result<Moved> {
    sqlx::query_as(include_str!("../../../sql/ledger/retire_stale_datasets.sql"))
        .bind(region.name())
        .bind(before)
        .bind(domains)
        .fetch_one(tx)
        .await
}
