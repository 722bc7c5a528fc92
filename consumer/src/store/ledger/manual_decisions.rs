//! What people decide about runs: accept or decline a run on hold, lift a domain's shield, or undo that.
//!
//! A change is made under the exclusive lock, together with all that follows from it. [`preview`] makes the same
//! change, reads what would follow, and rolls back.

use std::collections::BTreeSet;

use anyhow::Context;
use catalog_shared::exit::Stop;
use catalog_shared::verdict::{Choice, Decided, Decision, Verdict};
use serde::Serialize;
use sqlx::{FromRow, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use crate::store::ledger::decisions::{self, Known, Moved, RunId};
use crate::store::schema_lock;

/// A decision on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Accepts a run on hold, with its shields. The shields of these domains (lower case) are lifted; with any of
    /// them, the run may be accepted already.
    Release(BTreeSet<String>),
    /// Declines a run on hold.
    Reject,
    /// Drops what people have decided about the run, lifted shields included.
    Undo,
}

/// A dataset that a decision retires or brings back, or whose `retired_at` it moves.
#[derive(Clone, Debug, FromRow, Serialize)]
pub(crate) struct Affected {
    pub(crate) domain: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    /// The run that saw it last.
    pub(crate) last_run: i64,
    /// When it was retired; none while it is there.
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

    /// Whether the decision brings it back.
    pub(crate) const fn returns(&self) -> bool {
        self.was.is_some() && self.due.is_none()
    }
}

/// Lists the datasets that a decision would affect, by domain and name. Nothing is changed.
///
/// # Errors
/// [`Stop::Usage`] for a decision that the run does not allow, or what the database said.
pub(crate) async fn preview(pool: &PgPool, id: RunId, change: &Change) -> anyhow::Result<Vec<Affected>> {
    let mut tx = begin(pool).await?;
    let verdict = changed(&mut tx, id, change).await?;
    decisions::enter_state(&mut tx, &verdict).await?;
    let affected = sqlx::query_as(include_str!("../../../sql/ledger/find_stale_datasets.sql"))
        .bind(id.region.name())
        .bind(id.number())
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await.context("can't roll back")?;
    Ok(affected)
}

/// Makes a decision, and returns how many datasets it retired and brought back. `shown` is what the person was
/// shown before.
///
/// # Errors
/// [`Stop::Usage`] for a decision that the run does not allow, [`Stop::Guard`] where the decision would do
/// something else than was shown, or what the database said. Nothing is changed then.
pub(crate) async fn decide(
    pool: &PgPool,
    id: RunId,
    change: &Change,
    shown: Option<Moved>,
) -> anyhow::Result<Moved> {
    let mut tx = begin(pool).await?;
    let verdict = changed(&mut tx, id, change).await?;
    decisions::store(&mut tx, &verdict, false).await?;
    let moved = decisions::take_effect(&mut tx, &verdict).await?;
    if let Some(shown) = shown
        && shown != moved
    {
        return Err(Stop::Guard(format!(
            "nothing was changed: {} datasets would be retired and {} would come back now, and {} and {} were \
             shown. A crawl has arrived meanwhile: look again",
            moved.retired, moved.returned, shown.retired, shown.returned
        ))
        .into());
    }
    tx.commit().await.context("can't commit")?;
    Ok(moved)
}

/// Begins a transaction that holds the exclusive lock.
async fn begin(pool: &PgPool) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    schema_lock::lock(&mut tx, true).await.context("can't take the lock of the schema")?;
    Ok(tx)
}

/// The run's verdict after a decision.
async fn changed(
    tx: &mut Transaction<'static, Postgres>,
    id: RunId,
    change: &Change,
) -> anyhow::Result<Verdict> {
    let RunId { region, run } = id;
    let (state, _) = decisions::state(tx, id)
        .await?
        .ok_or_else(|| Stop::Usage(format!("there is no run {run} of {region}")))?;
    let known = decisions::find(tx, id).await?.filter(Known::is_of_its_run);
    let state_now = Decision::from_name(&state);
    let decided = match (state_now, known) {
        (Some(state), Some(known)) => change.of(known.verdict, state),
        _ => Err("not all of it has arrived".to_owned()),
    };
    let refuse = |why| Stop::Usage(format!("run {run} of {region} is {state}: {why}"));
    Ok(decided.map_err(refuse)?)
}

impl Change {
    /// The verdict after this decision, or why the decision can't be made.
    fn of(&self, verdict: Verdict, state: Decision) -> Result<Verdict, String> {
        match self {
            Self::Release(domains) => release(verdict, state, domains),
            Self::Reject if state == Decision::Held => Ok(with(verdict, Choice::Rejected, BTreeSet::new())),
            Self::Reject => Err(ONLY_HELD.to_owned()),
            Self::Undo if verdict.decided.is_none() => {
                Err("nobody has decided it, so there is nothing to undo".to_owned())
            }
            Self::Undo => Ok(Verdict { decided: None, revision: verdict.revision + 1, ..verdict }),
        }
    }
}

const ONLY_HELD: &str = "only a held run can be released or rejected";

fn release(verdict: Verdict, state: Decision, domains: &BTreeSet<String>) -> Result<Verdict, String> {
    let may_lift = state.is_accepted() && !domains.is_empty();
    if state != Decision::Held && !may_lift {
        return Err(ONLY_HELD.to_owned());
    }
    if let Some(domain) = domains.iter().find(|domain| !verdict.judged.shields.contains_key(*domain)) {
        return Err(format!("it does not shield {domain}"));
    }
    let lifted = verdict.decided.as_ref().map(|decided| decided.domains.clone()).unwrap_or_default();
    Ok(with(verdict, Choice::Released, &lifted | domains))
}

fn with(verdict: Verdict, what: Choice, domains: BTreeSet<String>) -> Verdict {
    let now = OffsetDateTime::now_utc();
    let when = now.replace_nanosecond(now.microsecond() * 1000).unwrap_or(now);
    Verdict { decided: Some(Decided { what, domains, when }), ..verdict }
}
