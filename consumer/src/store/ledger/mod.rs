//! The ledger: the effects of each run's records, each counted once, and the decision about the run after its last
//! end-of-run record.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use catalog_shared::decision::{LedgerState, RunDecision};
use catalog_shared::end_record::EndRecord;
use catalog_shared::events;
use catalog_shared::human::{self, counted};
use catalog_shared::region::Region;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::config::thresholds::RunThresholds;
use crate::model::effect::{Applied, Effect};
use crate::model::end_of_run::ReceivedEndRecord;
use crate::model::topic::TopicPartition;
use crate::store::ledger::decisions::{RunId, StoredDecision};
use crate::store::ledger::judge::LedgerSums;

pub(crate) mod decisions;
mod evidence;
mod first_runs;
pub(crate) mod judge;
pub(crate) mod manual_decisions;
pub(crate) mod order;

/// A complete run and the decision about it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct JudgedRun {
    pub(crate) region: Region,
    pub(crate) run: u32,
    pub(crate) state: LedgerState,
    pub(crate) reason: Option<String>,
    /// Its shielded domains, in which it retires nothing, each with the reason.
    pub(crate) shields: BTreeMap<String, String>,
    pub(crate) published: i64,
    pub(crate) applied: i64,
    /// How many datasets it retired.
    pub(crate) retired: i64,
}

impl JudgedRun {
    /// Logs it after the commit. A run on hold or a shielded domain is only a warning, because nothing else stops.
    pub(crate) fn log(&self) {
        if self.state == LedgerState::Held {
            let (region, run) = (self.region, self.run);
            tracing::warn!(
                event = events::RUN_ON_HOLD,
                "{self}; `catalog-consumer runs approve --region {region} --run {run}` approves it, `runs decline` declines it"
            );
        } else if self.shields.is_empty() {
            tracing::info!(event = events::RUN_JUDGED, "{self}");
        } else {
            let shields = &self.shields;
            tracing::warn!(
                event = events::DOMAINS_SHIELDED,
                ?shields,
                "{self}; nothing is retired in the shielded domains"
            );
        }
    }
}

impl fmt::Display for JudgedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, run, state, published, applied, retired, .. } = self;
        write!(f, "run {run} of {region} is {}", state.name())?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        let number = |number: &i64| u64::try_from(*number).unwrap_or_default();
        write!(
            f,
            " ({} published, {} applied",
            human::count(number(published)),
            human::count(number(applied))
        )?;
        if *retired > 0 {
            write!(f, ", {} retired", counted(number(retired), "dataset", "datasets"))?;
        }
        write!(f, ")")
    }
}

/// Inserts missing runs, before a batch locks any row that another batch may wait for.
pub(crate) async fn insert_runs(tx: &mut PgConnection, runs: &[(Region, u32)]) -> sqlx::Result<()> {
    let (regions, numbers): (Vec<&str>, Vec<i64>) =
        runs.iter().map(|(region, run)| (region.name(), i64::from(*run))).unzip();
    sqlx::query(include_str!("../../../sql/ledger/insert_runs.sql"))
        .bind(regions)
        .bind(numbers)
        .execute(tx)
        .await?;
    Ok(())
}

/// Counts the effects of records, except those below `counted_to`, which were counted before.
pub(crate) async fn count(
    tx: &mut PgConnection,
    topic_partition: &TopicPartition,
    counted_to: i64,
    applied: &[Applied],
) -> sqlx::Result<()> {
    let mut counts: BTreeMap<(Region, u32), [i64; 4]> = BTreeMap::new();
    for record in applied.iter().filter(|record| record.offset >= counted_to) {
        counts.entry((record.region, record.run)).or_default()[column(record.effect)] += 1;
    }
    if counts.is_empty() {
        return Ok(());
    }
    let regions: Vec<&str> = counts.keys().map(|(region, _)| region.name()).collect();
    let runs: Vec<i64> = counts.keys().map(|(_, run)| i64::from(*run)).collect();
    let of = |effect: Effect| counts.values().map(|count| count[column(effect)]).collect::<Vec<i64>>();
    sqlx::query(include_str!("../../../sql/ledger/count_records.sql"))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .bind(regions)
        .bind(runs)
        .bind(of(Effect::New))
        .bind(of(Effect::Changed))
        .bind(of(Effect::Unchanged))
        .bind(of(Effect::Older))
        .execute(tx)
        .await?;
    Ok(())
}

const fn column(effect: Effect) -> usize {
    match effect {
        Effect::New => 0,
        Effect::Changed => 1,
        Effect::Unchanged => 2,
        Effect::Older => 3,
    }
}

/// Stores an end-of-run record, and decides about the run if it is the last one. The caller has the exclusive schema
/// lock, because two concurrent last records would not see each other.
pub(crate) async fn close(
    tx: &mut PgConnection,
    topic_partition: &TopicPartition,
    end: &ReceivedEndRecord,
    thresholds: RunThresholds,
) -> anyhow::Result<Option<JudgedRun>> {
    let ReceivedEndRecord { region, offset, record: end_record } = end;
    let stored = sqlx::query(include_str!("../../../sql/ledger/store_end_of_run.sql"))
        .bind(region.name())
        .bind(i64::from(end_record.run))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .bind(i64::try_from(end_record.published)?)
        .bind(offset)
        .execute(&mut *tx)
        .await?;
    if stored.rows_affected() == 0 {
        tracing::warn!(event = events::RUN_ENDED_AGAIN, %region, run = end_record.run, offset, "the run has already ended in this partition; ignored");
        return Ok(None);
    }
    if describe(tx, *region, end_record).await? {
        first_runs::insert(tx, *region, end_record).await?;
    }
    abandon(tx, *region, end_record).await?;
    judge(tx, *region, end_record, thresholds).await
}

/// Stores a run's description from its first end-of-run record. Returns whether it is the first one.
async fn describe(tx: &mut PgConnection, region: Region, end_record: &EndRecord) -> sqlx::Result<bool> {
    let kinds: Vec<&str> = end_record.parameters.kinds.iter().map(|kind| kind.name()).collect();
    let described = sqlx::query(include_str!("../../../sql/ledger/describe_run.sql"))
        .bind(region.name())
        .bind(i64::from(end_record.run))
        .bind(end_record.parameters.mode.name())
        .bind(kinds)
        .bind(evidence::scope(end_record))
        .bind(end_record.started_at)
        .bind(end_record.ended_at)
        .bind(Json(end_record))
        .execute(&mut *tx)
        .await?;
    Ok(described.rows_affected() > 0)
}

async fn abandon(tx: &mut PgConnection, region: Region, end_record: &EndRecord) -> sqlx::Result<()> {
    let abandoned: Vec<i64> = sqlx::query_scalar(include_str!("../../../sql/ledger/abandon_runs.sql"))
        .bind(region.name())
        .bind(i64::from(end_record.run))
        .bind(end_record.previous_ended.map_or(0, i64::from))
        .fetch_all(tx)
        .await?;
    for run in abandoned {
        tracing::info!(event = events::RUN_ABANDONED, %region, run, "run abandoned");
    }
    Ok(())
}

async fn judge(
    tx: &mut PgConnection,
    region: Region,
    end_record: &EndRecord,
    thresholds: RunThresholds,
) -> anyhow::Result<Option<JudgedRun>> {
    let id = RunId { region, run: end_record.run };
    let sums = sum_partitions(tx, id).await?;
    let expected: i32 = end_record.partitions.values().sum();
    if sums.end_records < i64::from(expected) || !store_totals(tx, id, &sums).await? {
        return Ok(None);
    }
    // A published decision is followed, because counts and shares depend on the moment of the decision.
    let decision = match decisions::find(tx, id).await?.filter(StoredDecision::matches_run) {
        Some(known) => known.decision,
        None => judge_first(tx, id, end_record, &sums, thresholds).await?,
    };
    let retired = decisions::apply_decision(tx, &decision).await?.retired;
    let shields = decision.shields().map(|(domain, reason)| (domain.to_owned(), reason.to_owned())).collect();
    let LedgerSums { published, applied, .. } = sums;
    let (state, reason) = (decision.state(), decision.judged.reason);
    Ok(Some(JudgedRun { region, run: end_record.run, state, reason, shields, published, applied, retired }))
}

/// Decides about a run without a decision, and puts the decision into the outbox.
async fn judge_first(
    tx: &mut PgConnection,
    id: RunId,
    end_record: &EndRecord,
    sums: &LedgerSums,
    thresholds: RunThresholds,
) -> anyhow::Result<RunDecision> {
    // From the table, which stores microseconds.
    let (_, ended_at) = decisions::lock_run(tx, id).await?.context("the run is not in the ledger")?;
    let ended_at = ended_at.context("the run's end is not in the ledger")?;
    let decision = RunDecision {
        region: id.region,
        run: id.run,
        ended_at: Some(ended_at),
        mode: Some(end_record.parameters.mode),
        kinds: end_record.parameters.kinds.clone(),
        scope: evidence::scope(end_record).unwrap_or_default(),
        revision: 0,
        judged: evidence::judge_run(tx, id, (end_record, ended_at), sums, thresholds).await?,
        decided: None,
    };
    decisions::store(tx, &decision, false).await?;
    Ok(decision)
}

async fn sum_partitions(tx: &mut PgConnection, id: RunId) -> sqlx::Result<LedgerSums> {
    sqlx::query_as(include_str!("../../../sql/ledger/sum_partitions.sql"))
        .bind(id.region.name())
        .bind(i64::from(id.run))
        .fetch_one(tx)
        .await
}

/// Stores the sums of a run, unless it was decided before. An abandoned run was not decided: its end-of-run records may
/// arrive after those of the later run.
async fn store_totals(tx: &mut PgConnection, id: RunId, sums: &LedgerSums) -> sqlx::Result<bool> {
    let stored = sqlx::query(include_str!("../../../sql/ledger/store_totals.sql"))
        .bind(id.region.name())
        .bind(i64::from(id.run))
        .bind(sums.published)
        .bind(sums.applied)
        .bind(sums.dead)
        .execute(tx)
        .await?;
    Ok(stored.rows_affected() > 0)
}
