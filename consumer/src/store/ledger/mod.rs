//! The ledger: what became of each record of a run, counted once, and the verdict when its last marker
//! is in.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use catalog_shared::end_record::EndRecord;
use catalog_shared::human::{self, counted};
use catalog_shared::region::Region;
use catalog_shared::verdict::{Decision, Verdict};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::config::thresholds::RunThresholds;
use crate::model::effect::{Applied, Effect};
use crate::model::end_of_run::EndOfRun;
use crate::model::topic::TopicPartition;
use crate::store::ledger::decisions::{Known, RunId};
use crate::store::ledger::judge::LedgerSums;

pub(crate) mod decisions;
mod evidence;
pub(crate) mod judge;
pub(crate) mod manual_decisions;
pub(crate) mod order;
mod reach;

/// A run whose last marker is in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct JudgedRun {
    pub(crate) region: Region,
    pub(crate) run: u32,
    pub(crate) state: Decision,
    pub(crate) reason: Option<String>,
    /// The domains in which it retires nothing, each with the reason.
    pub(crate) shields: BTreeMap<String, String>,
    pub(crate) published: i64,
    pub(crate) applied: i64,
    /// How many datasets it retired.
    pub(crate) retired: i64,
}

impl JudgedRun {
    /// Logs it, once it is committed. A held run or a shielded domain stops nothing, so it is a warning.
    pub(crate) fn log(&self) {
        if self.state == Decision::Held {
            let (region, run) = (self.region, self.run);
            tracing::warn!(
                "{self}; `catalog-consumer runs release --region {region} --run {run}` accepts it, `runs reject` does not"
            );
        } else if self.shields.is_empty() {
            tracing::info!("{self}");
        } else {
            let shields = &self.shields;
            tracing::warn!(?shields, "{self}; the shielded domains keep what it did not see");
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

/// Makes sure that runs are in the books, before a batch takes any lock that another may wait for.
pub(crate) async fn open_runs(tx: &mut PgConnection, runs: &[(Region, u32)]) -> sqlx::Result<()> {
    let (regions, numbers): (Vec<&str>, Vec<i64>) =
        runs.iter().map(|(region, run)| (region.name(), i64::from(*run))).unzip();
    sqlx::query(include_str!("../../../sql/ledger/insert_runs.sql"))
        .bind(regions)
        .bind(numbers)
        .execute(tx)
        .await?;
    Ok(())
}

/// Counts what records became, but for those before `counted_to`, which were counted before.
pub(crate) async fn count(
    tx: &mut PgConnection,
    place: &TopicPartition,
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
        .bind(&place.topic)
        .bind(place.partition)
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

/// Enters a marker, and judges the run if it is the last one. The caller holds the one lock alone: two
/// last markers side by side would each miss the other.
pub(crate) async fn close(
    tx: &mut PgConnection,
    place: &TopicPartition,
    marked: &EndOfRun,
    thresholds: RunThresholds,
) -> anyhow::Result<Option<JudgedRun>> {
    let EndOfRun { region, offset, marker } = marked;
    let entered = sqlx::query(include_str!("../../../sql/ledger/store_end_of_run.sql"))
        .bind(region.name())
        .bind(i64::from(marker.run))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(i64::try_from(marker.published)?)
        .bind(offset)
        .execute(&mut *tx)
        .await?;
    if entered.rows_affected() == 0 {
        tracing::warn!(%region, run = marker.run, offset, "the run has ended before in this partition; ignored");
        return Ok(None);
    }
    if describe(tx, *region, marker).await? {
        reach::enter(tx, *region, marker).await?;
    }
    abandon(tx, *region, marker).await?;
    judge(tx, *region, marker, thresholds).await
}

/// Enters what a run's first marker says; tells whether it is the first.
async fn describe(tx: &mut PgConnection, region: Region, marker: &EndRecord) -> sqlx::Result<bool> {
    let kinds: Vec<&str> = marker.shape.kinds.iter().map(|kind| kind.name()).collect();
    let described = sqlx::query(include_str!("../../../sql/ledger/describe_run.sql"))
        .bind(region.name())
        .bind(i64::from(marker.run))
        .bind(marker.shape.mode.name())
        .bind(kinds)
        .bind(evidence::scope(marker))
        .bind(marker.started_at)
        .bind(marker.ended_at)
        .bind(Json(marker))
        .execute(&mut *tx)
        .await?;
    Ok(described.rows_affected() > 0)
}

async fn abandon(tx: &mut PgConnection, region: Region, marker: &EndRecord) -> sqlx::Result<()> {
    let abandoned: Vec<i64> = sqlx::query_scalar(include_str!("../../../sql/ledger/abandon_runs.sql"))
        .bind(region.name())
        .bind(i64::from(marker.run))
        .bind(marker.previous_ended.map_or(0, i64::from))
        .fetch_all(tx)
        .await?;
    for run in abandoned {
        tracing::info!(%region, run, "the run was abandoned");
    }
    Ok(())
}

async fn judge(
    tx: &mut PgConnection,
    region: Region,
    marker: &EndRecord,
    thresholds: RunThresholds,
) -> anyhow::Result<Option<JudgedRun>> {
    let id = RunId { region, run: marker.run };
    let books = read_books(tx, id).await?;
    let expected: i32 = marker.partitions.values().sum();
    if books.markers < i64::from(expected) || !enter_sums(tx, id, &books).await? {
        return Ok(None);
    }
    // What the log says is followed: counts and shares depend on when one looks.
    let verdict = match decisions::find(tx, id).await?.filter(Known::is_of_its_run) {
        Some(known) => known.verdict,
        None => look(tx, id, marker, &books, thresholds).await?,
    };
    let retired = decisions::take_effect(tx, &verdict).await?.retired;
    let shields = verdict.shields().map(|(domain, reason)| (domain.to_owned(), reason.to_owned())).collect();
    let LedgerSums { published, applied, .. } = books;
    let (state, reason) = (verdict.state(), verdict.judged.reason);
    Ok(Some(JudgedRun { region, run: marker.run, state, reason, shields, published, applied, retired }))
}

/// Judges a run that nobody has judged, and puts the verdict into the outbox.
async fn look(
    tx: &mut PgConnection,
    id: RunId,
    marker: &EndRecord,
    books: &LedgerSums,
    thresholds: RunThresholds,
) -> anyhow::Result<Verdict> {
    // As the table has it, which keeps microseconds.
    let (_, ended_at) = decisions::state(tx, id).await?.context("the run is not in the books")?;
    let ended_at = ended_at.context("the run's marker is not in the books")?;
    let verdict = Verdict {
        region: id.region,
        run: id.run,
        ended_at: Some(ended_at),
        mode: Some(marker.shape.mode),
        kinds: marker.shape.kinds.clone(),
        scope: evidence::scope(marker).unwrap_or_default(),
        revision: 0,
        judged: evidence::look(tx, id, (marker, ended_at), books, thresholds).await?,
        decided: None,
    };
    decisions::store(tx, &verdict, false).await?;
    Ok(verdict)
}

async fn read_books(tx: &mut PgConnection, id: RunId) -> sqlx::Result<LedgerSums> {
    sqlx::query_as(include_str!("../../../sql/ledger/sum_partitions.sql"))
        .bind(id.region.name())
        .bind(i64::from(id.run))
        .fetch_one(tx)
        .await
}

/// Enters the sums of a run, unless it was decided before. An abandoned one was not: its markers may come
/// to light after those of the run that passed it over.
async fn enter_sums(tx: &mut PgConnection, id: RunId, books: &LedgerSums) -> sqlx::Result<bool> {
    let entered = sqlx::query(include_str!("../../../sql/ledger/store_totals.sql"))
        .bind(id.region.name())
        .bind(i64::from(id.run))
        .bind(books.published)
        .bind(books.applied)
        .bind(books.dead)
        .execute(tx)
        .await?;
    Ok(entered.rows_affected() > 0)
}
