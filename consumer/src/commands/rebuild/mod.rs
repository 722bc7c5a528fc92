//! `rebuild`: replays the topics into a shadow schema, compares the live tables with it and repairs them.
//! `verify --topics` does the same without the repair.
//!
//! The shadow has the same tables as the live schema, including the ledger, so the code that fills the live tables fills the
//! shadow too. The replay first catches up with the live positions, and all rows are compared at a snapshot. Then it takes the
//! schema lock, which blocks the live consumers, reads the remaining records, and compares only the rows that may differ.

use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::outage;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
#[cfg(test)]
use sqlx::PgConnection;

use crate::store::database;
use crate::sync::decisions::DecisionSync;

mod args;
mod compare;
mod comparison;
mod deletions;
mod first_pass;
mod intent;
mod ledger;
mod loss;
mod newest_versions;
mod partition_replay;
mod pass;
mod repair;
mod replay;
mod report;
mod selection;
mod shadow;
mod snapshot;
mod targets;
mod touched;

pub(crate) use args::{RebuildArgs, ReplaySourceArgs};
use compare::{Compared, Replayed};
use intent::Intent;
#[cfg(test)]
use loss::KeptRows;
use loss::LostRecordsImpact;
#[cfg(test)]
pub(crate) use newest_versions::NewestVersions;
#[cfg(test)]
pub(crate) use partition_replay::apply_to_shadow;
use replay::Replay;
pub(crate) use report::RebuildSummary;
#[cfg(test)]
pub(crate) use selection::Selection;
use shadow::Shadow;
use snapshot::Snapshot;
use targets::ReplayTargets;

/// The maximum number of offsets to read under the lock.
const MAX_LEFT_UNDER_LOCK: i64 = 1_000;

/// Repairs the rows that differ from the topics, and prints how they differed.
///
/// # Errors
/// [`Stop::Guard`] if the tables don't belong to the topics or too much would be deleted, [`Stop::Interrupted`] if `shutdown`
/// comes before the tables are changed; another rebuild is running; or an error of the database or Kafka.
pub(crate) async fn run(args: &RebuildArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    if args.migrate {
        database::migrate(&args.source.database).await?;
    }
    let report =
        replay_and_report(Task { args: &args.source, intent: Intent::Repair, force: args.force }, shutdown)
            .await?;
    let rows = report.refusals.len();
    if rows == 0 {
        return report.print(args.json);
    }
    let error = anyhow!(
        "the database refused {rows} of the rows from the topics; all others are rebuilt. Remove the constraint or \
         trigger that refuses them, and run `catalog-consumer rebuild` again"
    );
    Err(report.print_failure(args.json, error))
}

/// Compares the tables with the topics, up to the positions of the tables.
///
/// # Errors
/// Like [`run`].
pub(crate) async fn compare(
    args: &ReplaySourceArgs,
    shutdown: &CancellationToken,
) -> anyhow::Result<RebuildSummary> {
    replay_and_report(Task { args, intent: Intent::Compare, force: false }, shutdown).await
}

/// The task: a rebuild or a comparison.
#[derive(Clone, Copy)]
struct Task<'a> {
    args: &'a ReplaySourceArgs,
    intent: Intent,
    /// Whether rows are deleted beyond the thresholds.
    force: bool,
}

async fn replay_and_report(task: Task<'_>, shutdown: &CancellationToken) -> anyhow::Result<RebuildSummary> {
    let Task { args, intent, .. } = task;
    args.kafka.log_config()?;
    outage::reach(&args.kafka).await?;
    let mut shadow = Shadow::create(&args.database, args.apply.connections, intent).await?;
    let result = async {
        let mut report = replay_and_end(task, &mut shadow, shutdown).await?;
        count_rows(&mut shadow, &args.kafka.topics(), &mut report).await.context("can't count the rows")?;
        anyhow::Ok(report)
    }
    .await;
    let removed = shadow.remove().await;
    let report = result?;
    removed.map(|()| report)
}

/// Counts the rows that the topics define, after the lock was released.
async fn count_rows(shadow: &mut Shadow, topics: &Topics, report: &mut RebuildSummary) -> sqlx::Result<()> {
    let started = Instant::now();
    let mut tx = shadow.begin().await?;
    comparison::count_rows(&mut tx, topics, &mut report.tables).await?;
    tx.rollback().await?;
    report.elapsed += started.elapsed();
    Ok(())
}

async fn replay_and_end(
    task: Task<'_>,
    shadow: &mut Shadow,
    shutdown: &CancellationToken,
) -> anyhow::Result<RebuildSummary> {
    let started = Instant::now();
    let compared = tokio::select! {
        compared = replay_and_compare(task, shadow) => compared?,
        // Dropping the future rolls its transaction back.
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the tables are unchanged".to_owned())),
    };
    let Compared { tx, locked, records, tables, refusals, loss: LostRecordsImpact { lost, floors, .. } } =
        compared;
    let intent = task.intent;
    // A shutdown does not interrupt the commit, because its outcome would be unknown.
    match intent {
        Intent::Repair => tx.commit().await.context("can't commit")?,
        Intent::Compare => tx.rollback().await?,
    }
    let (blocked, elapsed) = (locked.elapsed(), started.elapsed());
    Ok(RebuildSummary { intent, records, tables, refusals, lost, floors, blocked, elapsed })
}

async fn replay_and_compare<'a>(task: Task<'_>, shadow: &'a mut Shadow) -> anyhow::Result<Compared<'a>> {
    let Task { args, intent, .. } = task;
    shadow.check_complete().await?;
    let mut targets = ReplayTargets::find(&mut shadow.session, args, intent).await?;
    let mut loss = LostRecordsImpact::find(&targets, args).await?;
    let mut replay = fill(args, shadow, &mut targets, &mut loss).await?;
    let topics = args.kafka.topics();
    // Missing tables can't be compared, and no consumer fills new ones.
    let snapshot = if targets.are_new() || shadow.has_spare {
        None
    } else {
        Some(Snapshot::take(shadow, &mut replay, &mut targets, &topics).await?)
    };
    compare::compare_under_lock(task, shadow, Replayed { replay, targets, loss, snapshot }).await
}

/// Fills the shadow from the topics, and finds the floors in the ledger: that of the shadow if the live tables are new.
async fn fill(
    args: &ReplaySourceArgs,
    shadow: &mut Shadow,
    targets: &mut ReplayTargets,
    loss: &mut LostRecordsImpact,
) -> anyhow::Result<Replay> {
    let decisions = DecisionSync::new(&args.kafka, &shadow.pool);
    if !targets.are_new() {
        loss.find_floors(&mut shadow.session, &decisions).await?;
    }
    let mut replay = Replay::start(args, shadow.pool.clone(), targets).await?;
    ledger::copy_to_shadow(shadow, &decisions, targets).await?;
    fill_shadow(shadow, &mut replay, targets).await?;
    if targets.are_new() {
        loss.find_floors(&mut *shadow.pool.acquire().await?, &decisions).await?;
    }
    Ok(replay)
}

/// Replays the topics from their first records up to the live positions.
async fn fill_shadow(
    shadow: &mut Shadow,
    replay: &mut Replay,
    targets: &mut ReplayTargets,
) -> anyhow::Result<()> {
    if !targets.are_new() {
        replay.read_in_two_passes(targets).await?;
        targets.refresh(&mut shadow.session).await?;
    }
    catch_up(shadow, replay, targets).await?;
    Ok(shadow.analyze().await?)
}

/// Replays up to the live positions until few offsets are left, or until the number no longer decreases. In the second case
/// the lock is held for longer.
async fn catch_up(
    shadow: &mut Shadow,
    replay: &mut Replay,
    targets: &mut ReplayTargets,
) -> anyhow::Result<()> {
    let mut left = replay.left(targets);
    while left > 0 {
        tracing::info!(event = events::REPLAY_STARTED, offsets = left, "replaying the topics");
        replay.read_to(targets).await?;
        targets.refresh(&mut shadow.session).await?;
        let before = std::mem::replace(&mut left, replay.left(targets));
        if left <= MAX_LEFT_UNDER_LOCK || left >= before {
            break;
        }
    }
    Ok(())
}

/// Makes the tables of a schema equal to those of another one with the statements of a rebuild. Returns the number of rows
/// that differed.
#[cfg(test)]
pub(crate) async fn make_equal(
    session: &mut PgConnection,
    (live, shadow): (&str, &str),
    topics: &Topics,
) -> anyhow::Result<i64> {
    let names = shadow::SchemaNames { shadow: shadow.to_owned(), ..shadow::SchemaNames::of(live) };
    let mut tx = names.begin(session).await?;
    comparison::find_candidates(&mut tx, topics).await?;
    let tables = comparison::compare(&mut tx, topics, &KeptRows::default()).await?;
    let refusals = repair::repair(&mut tx, &tables).await?;
    anyhow::ensure!(refusals.is_empty(), "the database refuses {refusals:?}");
    comparison::drop_candidates(&mut tx).await?;
    tx.commit().await?;
    Ok(tables.iter().map(|table| table.counts.differing()).sum())
}
