//! Decisions about runs in the database, and their effects on datasets that the run did not see. A change needs the
//! exclusive schema lock, so that no batch is applied at the same time.

use catalog_shared::decision::{LedgerState, RunDecision};
use catalog_shared::region::Region;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

/// The key of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunId {
    pub(crate) region: Region,
    pub(crate) run: u32,
}

impl RunId {
    pub(crate) const fn of(decision: &RunDecision) -> Self {
        Self { region: decision.region, run: decision.run }
    }

    pub(crate) fn number(self) -> i64 {
        i64::from(self.run)
    }
}

/// The stored decision about a run number.
#[derive(Debug)]
pub(crate) struct StoredDecision {
    pub(crate) decision: RunDecision,
    /// The end of the run with this number in the ledger; `None` if its end is not known yet.
    pub(crate) ended_at: Option<OffsetDateTime>,
}

impl StoredDecision {
    /// Whether the decision is about the run in the ledger. If the data topics were recreated and the decisions topic was
    /// kept, it may be about an older run with the same number.
    pub(crate) fn matches_run(&self) -> bool {
        self.decision.ended_at == self.ended_at
    }
}

/// The stored decision about a run, from the topic or from this database.
pub(crate) async fn find(tx: &mut PgConnection, id: RunId) -> sqlx::Result<Option<StoredDecision>> {
    type Row = (Json<RunDecision>, Option<OffsetDateTime>);
    let found: Option<Row> = sqlx::query_as(include_str!("../../../sql/ledger/find_decision.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(tx)
        .await?;
    Ok(found.map(|(Json(decision), ended_at)| StoredDecision { decision, ended_at }))
}

/// Reads a run's state and end, and locks its row until the transaction ends. `None` if the run does not exist.
pub(crate) async fn lock_run(
    tx: &mut PgConnection,
    id: RunId,
) -> sqlx::Result<Option<(String, Option<OffsetDateTime>)>> {
    sqlx::query_as(include_str!("../../../sql/ledger/lock_run.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_optional(tx)
        .await
}

/// Stores a decision. If it is not published, it is in the outbox.
pub(crate) async fn store(
    tx: &mut PgConnection,
    decision: &RunDecision,
    published: bool,
) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/ledger/store_decision.sql"))
        .bind(decision.region.name())
        .bind(i64::from(decision.run))
        .bind(Json(decision))
        .bind(published)
        .execute(tx)
        .await?;
    Ok(())
}

/// How many datasets a change retired, and how many it restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub(crate) struct RetirementCounts {
    pub(crate) retired: i64,
    pub(crate) returned: i64,
}

/// Applies a stored decision: the run's state and shields, superseded runs, and retired datasets.
pub(crate) async fn apply_decision(
    tx: &mut PgConnection,
    decision: &RunDecision,
) -> sqlx::Result<RetirementCounts> {
    let id = RunId::of(decision);
    let was_accepted = lock_run(tx, id)
        .await?
        .is_some_and(|(state, _)| LedgerState::from_name(&state).is_some_and(LedgerState::is_accepted));
    update_states(tx, decision).await?;
    if !was_accepted && !decision.state().is_accepted() {
        return Ok(RetirementCounts::default());
    }
    let counts = update_retired_at(tx, id.region, id.number(), None).await?;
    sqlx::query(include_str!("../../../sql/ledger/count_retired.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(counts.retired - counts.returned)
        .execute(tx)
        .await?;
    Ok(counts)
}

/// Updates a run's state and shields, and the states of runs on hold. Datasets are not changed.
pub(crate) async fn update_states(tx: &mut PgConnection, decision: &RunDecision) -> sqlx::Result<()> {
    let id = RunId::of(decision);
    sqlx::query(include_str!("../../../sql/ledger/set_run_state.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .bind(decision.state().name())
        .bind(&decision.judged.reason)
        .execute(&mut *tx)
        .await?;
    upsert_shields(tx, decision).await?;
    update_superseded(tx, id.region).await
}

async fn upsert_shields(tx: &mut PgConnection, decision: &RunDecision) -> sqlx::Result<()> {
    let judged = &decision.judged;
    let shielded: Vec<&str> = decision.shields().map(|(domain, _)| domain).collect();
    let domains: Vec<&str> = judged.shields.keys().map(String::as_str).collect();
    let confirmed = |domain: &&str| judged.confirmed.get(*domain).map(|run| i64::from(*run));
    sqlx::query(include_str!("../../../sql/ledger/upsert_shields.sql"))
        .bind(decision.region.name())
        .bind(i64::from(decision.run))
        .bind(&domains)
        .bind(judged.shields.values().map(String::as_str).collect::<Vec<_>>())
        .bind(domains.iter().map(confirmed).collect::<Vec<_>>())
        .bind(domains.iter().map(|domain| !shielded.contains(domain)).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Updates which runs on hold are superseded. This depends on the balanced runs and on the domains that they cover.
pub(crate) async fn update_superseded(tx: &mut PgConnection, region: Region) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/ledger/derive_superseded.sql"))
        .bind(region.name())
        .execute(tx)
        .await?;
    Ok(())
}

/// Updates `retired_at` of the datasets that were last seen before a run, in these domains or in all.
pub(crate) async fn update_retired_at(
    tx: &mut PgConnection,
    region: Region,
    before: i64,
    domains: Option<&[String]>,
) -> sqlx::Result<RetirementCounts> {
    sqlx::query_as(include_str!("../../../sql/ledger/retire_stale_datasets.sql"))
        .bind(region.name())
        .bind(before)
        .bind(domains)
        .fetch_one(tx)
        .await
}
