//! Rebuilding: the tables as the topics give them are made beside the live ones, which are compared with
//! them and made equal. `verify --topics` is the same without the last step.
//!
//! The shadow is a schema of its own with the same tables, so batches are decoded and applied to it by the
//! very code that keeps the live tables, books included. It follows the live tables until it is near, and
//! goes the rest of the way while the one lock holds their consumers off.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use catalog_shared::exit::Stop;
use catalog_shared::outage;
use catalog_shared::shutdown::CancellationToken;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::time::interval;

use crate::store::{binding, database, schema_lock};
use crate::sync::decisions::DecisionSync;

mod args;
mod comparison;
mod deletions;
mod intent;
mod loss;
mod partition_replay;
mod repair;
mod replay;
mod report;
mod shadow;
mod targets;

pub(crate) use args::{RebuildArgs, TopicsArgs};
use comparison::Differing;
use intent::Intent;
use loss::{Kept, Loss};
use repair::RefusedRow;
use replay::Replay;
pub(crate) use report::Report;
use shadow::Shadow;
use targets::ReplayTargets;

/// How many offsets may be left to read under the lock.
const NEAR: i64 = 10_000;
/// How often the transaction that holds the lock stirs while the rest is read; well below what the server
/// bears of one that is asleep (`name_shadow.sql`).
const STIR: Duration = Duration::from_secs(5);

/// Makes the tables equal to what the topics give, and tells how they differed.
///
/// # Errors
/// When another rebuild is at work, `shutdown` comes before the tables are changed, or what the database or
/// Kafka said; [`catalog_shared::exit::Stop::Guard`] where tables and topics don't belong together.
pub(crate) async fn run(args: &RebuildArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    if args.migrate {
        database::migrate(&args.source.database).await?;
    }
    let report = work(Work { args: &args.source, intent: Intent::Mend, force: args.force }, shutdown).await?;
    let rows = report.refusals.len();
    if rows == 0 {
        return report.print(args.json);
    }
    let error = anyhow!(
        "the database refused {rows} of the rows that the topics give; all others are rebuilt. Remove the constraint or \
         trigger that refuses them, and run `catalog-consumer rebuild` again"
    );
    Err(report.print_failure(args.json, error))
}

/// Compares the tables with what the topics give, as far as the tables have got.
///
/// # Errors
/// As [`run`].
pub(crate) async fn compare(args: &TopicsArgs, shutdown: &CancellationToken) -> anyhow::Result<Report> {
    work(Work { args, intent: Intent::Compare, force: false }, shutdown).await
}

/// What to do, and how.
#[derive(Clone, Copy)]
struct Work<'a> {
    args: &'a TopicsArgs,
    intent: Intent,
    /// Whether rows are deleted beyond the limits.
    force: bool,
}

async fn work(work: Work<'_>, shutdown: &CancellationToken) -> anyhow::Result<Report> {
    let Work { args, intent, .. } = work;
    args.kafka.log_config()?;
    outage::reach(&args.kafka).await?;
    let mut shadow = Shadow::make(&args.database, args.apply.connections, intent).await?;
    let worked = follow_and_finish(work, &mut shadow, shutdown).await;
    let removed = shadow.remove().await;
    let report = worked?;
    removed.map(|()| report)
}

async fn follow_and_finish(
    work: Work<'_>,
    shadow: &mut Shadow,
    shutdown: &CancellationToken,
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let compared = tokio::select! {
        compared = follow_and_compare(work, shadow) => compared?,
        // Its transaction is rolled back with it.
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the tables are as they were".to_owned())),
    };
    let Compared { tx, alone, records, tables, refusals, loss: Loss { lost, floors, .. } } = compared;
    let intent = work.intent;
    // Never broken off: nobody could tell whether it was done.
    match intent {
        Intent::Mend => tx.commit().await.context("can't commit")?,
        Intent::Compare => tx.rollback().await?,
    }
    let (held_off, took) = (alone.elapsed(), started.elapsed());
    Ok(Report { intent, records, tables, refusals, lost, floors, held_off, took })
}

/// All that is done, in a transaction that is to be ended.
struct Compared<'a> {
    tx: Transaction<'a, Postgres>,
    /// Since when the live consumers are held off.
    alone: Instant,
    records: u64,
    tables: Vec<Differing>,
    refusals: Vec<RefusedRow>,
    loss: Loss,
}

async fn follow_and_compare<'a>(work: Work<'_>, shadow: &'a mut Shadow) -> anyhow::Result<Compared<'a>> {
    let Work { args, intent, .. } = work;
    shadow.check_whole().await?;
    let mut targets = ReplayTargets::find(&mut shadow.session, args, intent).await?;
    let (mut loss, verdicts) =
        (Loss::find(&targets, &args.kafka).await?, DecisionSync::new(&args.kafka, &shadow.pool));
    if !targets.are_new() {
        loss.weigh(&mut shadow.session, &verdicts, (false, args.accept_loss)).await?;
    }
    let mut replay = Replay::start(args, shadow.pool.clone(), &targets).await?;
    give_books(shadow, &verdicts, &targets).await?;
    follow(shadow, &mut replay, &mut targets).await?;
    shadow.analyze().await?;
    if targets.are_new() {
        loss::weigh_new(&mut loss, &shadow.pool, &verdicts, args.accept_loss).await?;
    }

    let names = shadow.names.clone();
    let mut tx = shadow.begin().await?;
    schema_lock::lock(&mut tx, true).await?;
    let alone = Instant::now();
    targets.renew(&mut tx).await?;
    read_the_rest(&mut tx, &mut replay, &targets).await?;
    if targets.are_new() {
        take_books_over(&mut tx).await?;
        binding::bind(&mut tx, targets.source()).await?;
    }
    if intent == Intent::Mend {
        Shadow::restore(&names, &mut tx).await?;
    }
    let (tables, refusals) = compare_and_repair(&mut tx, work, &loss.kept(&args.kafka.topics())).await?;
    Ok(Compared { tx, alone, records: replay.records(), tables, refusals, loss })
}

/// Compares, and repairs where that is asked for; returns what differed, and the rows that the database refused.
async fn compare_and_repair(
    tx: &mut PgConnection,
    Work { args, intent, force }: Work<'_>,
    kept: &Kept<'_>,
) -> anyhow::Result<(Vec<Differing>, Vec<RefusedRow>)> {
    let compared = comparison::compare(tx, &args.kafka.topics(), kept).await;
    let tables = compared.context("can't compare the tables")?;
    if intent == Intent::Compare {
        return Ok((tables, Vec::new()));
    }
    if !force && tables.iter().any(|table| table.counts.extra > 0) {
        deletions::check(tx, args.apply.run_thresholds.max_retire_share).await?;
    }
    let refusals = repair::repair(tx, &tables).await.context("can't repair the tables")?;
    if refusals.is_empty() {
        return Ok((tables, refusals));
    }
    Ok((comparison::differing(tx).await.context("can't count what differed")?, refusals))
}

/// What became of runs is never judged anew where somebody knows it: the books of the live tables, or the
/// topic of verdicts for a database that is new.
async fn give_books(
    shadow: &mut Shadow,
    verdicts: &DecisionSync,
    targets: &ReplayTargets,
) -> anyhow::Result<()> {
    if targets.are_new() {
        return verdicts.mirror().await;
    }
    let mut tx = shadow.begin().await?;
    sqlx::query(include_str!("../../../sql/rebuild/copy_ledger_to_shadow.sql")).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Follows the live tables until they are near, or no longer come nearer: then the lock is held for longer.
async fn follow(shadow: &mut Shadow, replay: &mut Replay, targets: &mut ReplayTargets) -> anyhow::Result<()> {
    let mut left = replay.left(targets);
    loop {
        tracing::info!(offsets = left, "reading the topics");
        replay.read_to(targets).await?;
        targets.renew(&mut shadow.session).await?;
        let before = std::mem::replace(&mut left, replay.left(targets));
        if left <= NEAR || left >= before {
            return Ok(());
        }
    }
}

/// Reads what is left under the lock, for as long as that takes: the server is told meanwhile that the
/// transaction is not asleep.
async fn read_the_rest(
    tx: &mut PgConnection,
    replay: &mut Replay,
    targets: &ReplayTargets,
) -> anyhow::Result<()> {
    let mut reading = pin!(replay.read_to(targets));
    let mut again = interval(STIR);
    loop {
        tokio::select! {
            read = &mut reading => return read,
            _ = again.tick() => tx.ping().await.context("the transaction that holds the lock is lost")?,
        }
    }
}

/// A new database goes on with the shadow's books.
async fn take_books_over(tx: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query(include_str!("../../../sql/rebuild/adopt_shadow_ledger.sql"))
        .execute(tx)
        .await
        .context("can't take the books over")?;
    Ok(())
}

/// Makes the tables of a schema equal to another one's by the statements of a rebuild; tells how many rows
/// differed.
#[cfg(test)]
pub(crate) async fn make_equal(
    session: &mut PgConnection,
    (live, shadow): (&str, &str),
    topics: &catalog_shared::topics::Topics,
) -> anyhow::Result<i64> {
    let names = shadow::Names { shadow: shadow.to_owned(), ..shadow::Names::of(live) };
    let mut tx = names.begin(session).await?;
    let tables = comparison::compare(&mut tx, topics, &Kept::default()).await?;
    let refusals = repair::repair(&mut tx, &tables).await?;
    anyhow::ensure!(refusals.is_empty(), "the database refuses {refusals:?}");
    tx.commit().await?;
    Ok(tables.iter().map(|table| table.counts.differing()).sum())
}
