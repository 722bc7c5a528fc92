//! Manual decisions about runs: approve or decline a run on hold, lift a domain's shield, or undo that.
//!
//! A change and all its effects are one transaction under the exclusive schema lock. [`preview`] makes the same change,
//! reads its effects, and rolls back.

use std::collections::BTreeSet;

use anyhow::Context;
use catalog_shared::decision::{Choice, Decided, LedgerState, RunDecision};
use catalog_shared::exit::Stop;
use serde::Serialize;
use sqlx::{FromRow, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use crate::store::ledger::decisions::{self, RetirementCounts, RunId, StoredDecision};
use crate::store::schema_lock::{LockMode, lock};

/// A manual decision about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Approves a run on hold and lifts the shields of these domains (lower case). If any are given, the run may be
    /// accepted already.
    Approve(BTreeSet<String>),
    /// Declines a run on hold.
    Decline,
    /// Removes the manual decision about the run, including lifted shields.
    Undo,
}

/// A dataset whose `retired_at` a decision changes.
#[derive(Clone, Debug, FromRow, Serialize)]
pub(crate) struct Affected {
    pub(crate) domain: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    /// The run that saw it last.
    pub(crate) last_run: i64,
    /// When it was retired; `None` while it is active.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) was: Option<OffsetDateTime>,
    /// When it is retired after the decision.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) due: Option<OffsetDateTime>,
}

impl Affected {
    /// Whether the decision retires it.
    pub(crate) const fn is_retired(&self) -> bool {
        self.was.is_none() && self.due.is_some()
    }

    /// Whether the decision restores it.
    pub(crate) const fn returns(&self) -> bool {
        self.was.is_some() && self.due.is_none()
    }
}

/// Lists the datasets that a decision would affect, by domain and name. Nothing is changed.
///
/// # Errors
/// [`Stop::Usage`] if the run's state does not allow the decision, or the error of the database.
pub(crate) async fn preview(pool: &PgPool, id: RunId, change: &Change) -> anyhow::Result<Vec<Affected>> {
    let mut tx = begin(pool).await?;
    let decision = apply_change(&mut tx, id, change).await?;
    decisions::update_states(&mut tx, &decision).await?;
    let affected = sqlx::query_as(include_str!("../../../sql/ledger/find_stale_datasets.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await.context("can't roll back")?;
    Ok(affected)
}

/// Makes a decision, and returns how many datasets it retired and restored. `shown` is what [`preview`] reported to the
/// operator.
///
/// # Errors
/// [`Stop::Usage`] if the run's state does not allow the decision, [`Stop::Guard`] if its effect differs from `shown`, or
/// the error of the database. Nothing is changed then.
pub(crate) async fn decide(
    pool: &PgPool,
    id: RunId,
    change: &Change,
    shown: Option<RetirementCounts>,
) -> anyhow::Result<RetirementCounts> {
    let mut tx = begin(pool).await?;
    let decision = apply_change(&mut tx, id, change).await?;
    decisions::store(&mut tx, &decision, false).await?;
    let counts = decisions::apply_decision(&mut tx, &decision).await?;
    if let Some(shown) = shown
        && shown != counts
    {
        return Err(Stop::Guard(format!(
            "nothing was changed: {} datasets would be retired and {} restored now, but the preview showed {} and {}. \
             A crawl has been applied since: check again",
            counts.retired, counts.returned, shown.retired, shown.returned
        ))
        .into());
    }
    tx.commit().await.context("can't commit")?;
    Ok(counts)
}

/// Begins a transaction that holds the exclusive lock.
async fn begin(pool: &PgPool) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    lock(&mut tx, LockMode::Exclusive).await.context("can't take the schema lock")?;
    Ok(tx)
}

/// The run's decision after a change.
async fn apply_change(
    tx: &mut Transaction<'static, Postgres>,
    id: RunId,
    change: &Change,
) -> anyhow::Result<RunDecision> {
    let RunId { region, run } = id;
    let (state, _) = decisions::lock_run(tx, id)
        .await?
        .ok_or_else(|| Stop::Usage(format!("there is no run {run} of {region}")))?;
    let known = decisions::find(tx, id).await?.filter(StoredDecision::matches_run);
    let current = LedgerState::from_name(&state);
    let changed = match (current, known) {
        (Some(state), Some(known)) => change.apply_to(known.decision, state),
        _ => Err("it is not complete yet".to_owned()),
    };
    let refuse = |why| Stop::Usage(format!("run {run} of {region} is {state}: {why}"));
    Ok(changed.map_err(refuse)?)
}

impl Change {
    /// The decision after this change, or the reason why the change is not allowed.
    fn apply_to(&self, decision: RunDecision, state: LedgerState) -> Result<RunDecision, String> {
        match self {
            Self::Approve(domains) => approve(decision, state, domains),
            Self::Decline if state == LedgerState::Held => {
                Ok(with_choice(decision, Choice::Rejected, BTreeSet::new()))
            }
            Self::Decline => Err(ONLY_ON_HOLD.to_owned()),
            Self::Undo if decision.decided.is_none() => {
                Err("it has no manual decision, so there is nothing to undo".to_owned())
            }
            Self::Undo => Ok(RunDecision { decided: None, revision: decision.revision + 1, ..decision }),
        }
    }
}

const ONLY_ON_HOLD: &str = "only a run on hold (state held) can be approved or declined";

fn approve(
    decision: RunDecision,
    state: LedgerState,
    domains: &BTreeSet<String>,
) -> Result<RunDecision, String> {
    let may_lift = state.is_accepted() && !domains.is_empty();
    if state != LedgerState::Held && !may_lift {
        return Err(ONLY_ON_HOLD.to_owned());
    }
    if let Some(domain) = domains.iter().find(|domain| !decision.judged.shields.contains_key(*domain)) {
        return Err(format!("it does not shield {domain}"));
    }
    let lifted = decision.decided.as_ref().map(|decided| decided.domains.clone()).unwrap_or_default();
    Ok(with_choice(decision, Choice::Released, &lifted | domains))
}

fn with_choice(decision: RunDecision, what: Choice, domains: BTreeSet<String>) -> RunDecision {
    let now = OffsetDateTime::now_utc();
    let when = now.replace_nanosecond(now.microsecond() * 1000).unwrap_or(now);
    RunDecision { decided: Some(Decided { what, domains, when }), ..decision }
}
