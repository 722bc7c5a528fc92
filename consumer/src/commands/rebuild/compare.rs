//! The end of a rebuild or a comparison, under the schema lock: reads the remaining records, then compares and repairs.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::time::interval;

use super::comparison::{self, TableDiff};
use super::intent::Intent;
use super::loss::{KeptRows, LostRecordsImpact};
use super::repair::{self, RefusedRow};
use super::replay::Replay;
use super::shadow::Shadow;
use super::snapshot::{self, Snapshot};
use super::targets::ReplayTargets;
use super::{Task, deletions, ledger};
use crate::store::binding;
use crate::store::schema_lock::{LockMode, lock};

/// Interval between the keepalives of the transaction that holds the lock; well below its idle timeout in
/// `create_shadow_views.sql`.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// What was replayed before the lock is taken.
pub(super) struct Replayed {
    pub(super) replay: Replay,
    pub(super) targets: ReplayTargets,
    pub(super) loss: LostRecordsImpact,
    /// `None` if the live tables are new, or some are missing.
    pub(super) snapshot: Option<Snapshot>,
}

/// The result, in a transaction that must still be committed or rolled back.
pub(super) struct Compared<'a> {
    pub(super) tx: Transaction<'a, Postgres>,
    /// Since when the live consumers are blocked.
    pub(super) locked: Instant,
    pub(super) records: u64,
    pub(super) tables: Vec<TableDiff>,
    pub(super) refusals: Vec<RefusedRow>,
    pub(super) loss: LostRecordsImpact,
}

/// Takes the schema lock, which blocks the live consumers. Reads the remaining records, compares the tables, and repairs them if
/// that is the intent.
pub(super) async fn compare_under_lock<'a>(
    task: Task<'_>,
    shadow: &'a mut Shadow,
    replayed: Replayed,
) -> anyhow::Result<Compared<'a>> {
    let Replayed { mut replay, mut targets, loss, snapshot } = replayed;
    let (topics, names) = (task.args.kafka.topics(), shadow.names.clone());
    let mut tx = shadow.begin().await?;
    lock(&mut tx, LockMode::Exclusive).await?;
    let locked = Instant::now();
    targets.refresh(&mut tx).await?;
    read_remaining(&mut tx, &mut replay, &targets).await?;
    if targets.are_new() {
        ledger::copy_to_live(&mut tx).await?;
        binding::bind(&mut tx, targets.source()).await?;
    }
    if task.intent == Intent::Repair {
        Shadow::recreate_missing(&names, &mut tx).await?;
    }
    snapshot::complete_candidates(&mut tx, snapshot, &replay, &targets, &topics).await?;
    let (tables, refusals) = compare_and_repair(&mut tx, task, &loss.kept(&topics)).await?;
    Ok(Compared { tx, locked, records: replay.records(), tables, refusals, loss })
}

/// Compares the tables, and repairs them if that is the intent. Returns the differences, and the rows that the database
/// refused.
async fn compare_and_repair(
    tx: &mut PgConnection,
    Task { args, intent, force }: Task<'_>,
    kept: &KeptRows<'_>,
) -> anyhow::Result<(Vec<TableDiff>, Vec<RefusedRow>)> {
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
    Ok((comparison::list_differing(tx).await.context("can't count the differing rows")?, refusals))
}

/// Reads the remaining records under the lock. Keepalives prevent the idle timeout of the transaction.
async fn read_remaining(
    tx: &mut PgConnection,
    replay: &mut Replay,
    targets: &ReplayTargets,
) -> anyhow::Result<()> {
    let mut reading = pin!(replay.read_to(targets));
    let mut keepalive = interval(KEEPALIVE_INTERVAL);
    loop {
        tokio::select! {
            read = &mut reading => return read,
            _ = keepalive.tick() => tx.ping().await.context("the transaction that holds the lock is lost")?,
        }
    }
}
