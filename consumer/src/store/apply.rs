//! Applies a batch: rows, ledger and position in one transaction.
//!
//! Every transaction takes its locks in the same order, so that two transactions never deadlock: the schema lock, the
//! position, the runs, the rows by key, the ledger, the end-of-run records and the effects of the last one. The exception
//! is a batch with refused rows, which is written in parts; if it deadlocks, it is retried.

use std::collections::BTreeSet;

use anyhow::Context;
use catalog_shared::region::Region;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::Semaphore;

use crate::config::thresholds::BatchSettings;
use crate::decode::{Dead, Decoded, decode};
use crate::model::batch::Batch;
use crate::model::effect::Applied;
use crate::model::end_of_run::ReceivedEndRecord;
use crate::model::record::Record;
use crate::model::stages::{Stage, Stages};
use crate::model::topic::TopicKind;
use crate::store::answer_limit::{is_no_answer, within_stages};
use crate::store::ledger::decisions::RunId;
use crate::store::ledger::{self, JudgedRun, order};
use crate::store::published_decisions::PublishedDecisions;
use crate::store::rows::{self, Refused};
use crate::store::schema_lock::{LockMode, lock};
use crate::store::{db_error, dead_letters, outbox, positions};

/// The outcome of a batch.
pub(crate) enum Outcome {
    /// The batch and its position are committed.
    Applied { records: Vec<Applied>, dead: Vec<Dead>, judged_runs: Vec<JudgedRun> },
    /// Another consumer has moved the position to here. Nothing was written.
    Stale { position: i64 },
    /// Not applied, and not retried because the partition was revoked.
    Abandoned,
}

impl Outcome {
    /// The outcome as text.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "applied",
            Self::Stale { .. } => "stale",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Why a batch was not applied.
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    /// The outcome if the commit succeeded and only its response was lost.
    pub(crate) in_doubt: Option<Outcome>,
}

/// Applies a batch. Records that can't be applied become dead letters. The batch is decoded before it waits for a
/// permit, so that it is decoded while other batches are applied.
///
/// # Errors
/// The error of the database, or [`catalog_shared::exit::Stop::Guard`] if there are too many dead letters.
pub(crate) async fn apply(
    pool: &PgPool,
    permits: &Semaphore,
    batch: &Batch,
    settings: BatchSettings,
    stages: &Stages,
    published: &PublishedDecisions,
) -> Result<Outcome, Failure> {
    stages.start();
    let decoded = || decode(batch.topic_partition.kind, &batch.records);
    let first = decoded();
    stages.enter(Stage::Connection);
    let permit = permits.acquire().await.context("the semaphore of permits is closed");
    let _permit = permit.map_err(nothing_done)?;
    let work = Work { pool, batch, settings, stages, published };
    let applied = match work.transact(first, false).await {
        // The search for the row needs a new transaction, because this one has failed.
        Err(Failure { error, .. }) if error.is::<Refused>() => work.transact(decoded(), true).await,
        other => other,
    };
    match &applied {
        Ok(_) => stages.end(),
        Err(_) => stages.clear(),
    }
    applied.map_err(|Failure { error, in_doubt }| {
        let Batch { topic_partition, from, to, .. } = batch;
        let name = format!("{topic_partition} offsets {from} to {to}");
        Failure { error: error.context(name), in_doubt }
    })
}

const fn nothing_done(error: anyhow::Error) -> Failure {
    Failure { error, in_doubt: None }
}

/// A batch, and what it needs.
#[derive(Clone, Copy)]
struct Work<'a> {
    pool: &'a PgPool,
    batch: &'a Batch,
    settings: BatchSettings,
    stages: &'a Stages,
    published: &'a PublishedDecisions,
}

impl Work<'_> {
    async fn transact(self, decoded: Decoded<'_>, searching: bool) -> Result<Outcome, Failure> {
        let connection = self.pool.acquire().await.context("can't begin a transaction");
        let mut connection = connection.map_err(nothing_done)?;
        let done = self.transact_on(&mut connection, decoded, searching).await;
        if let Err(Failure { error, .. }) = &done
            && is_no_answer(error)
        {
            // Closes it at once. The pool would wait for an answer first.
            drop(connection.detach());
        }
        done
    }

    async fn transact_on(
        self,
        connection: &mut PgConnection,
        decoded: Decoded<'_>,
        searching: bool,
    ) -> Result<Outcome, Failure> {
        let Self { stages, settings: BatchSettings { limits, .. }, .. } = self;
        let write = async {
            let mut tx = connection.begin().await.context("can't begin a transaction")?;
            stages.enter(Stage::SchemaLock);
            let outcome = self.write(&mut tx, decoded, searching).await?;
            anyhow::Ok((tx, outcome))
        };
        let (tx, outcome) = within_stages(stages, limits, write).await.map_err(nothing_done)?;
        if matches!(outcome, Outcome::Stale { .. }) {
            return Ok(outcome);
        }
        stages.enter(Stage::Commit);
        match within_stages(stages, limits, tx.commit()).await {
            Ok(()) => Ok(outcome),
            // Deferred constraints fail here.
            Err(error) if !searching && db_error::refuses_a_row(&error) => {
                Err(nothing_done(Refused(error).into()))
            }
            Err(error) => Err(Failure {
                error: anyhow::Error::from(error).context("can't commit"),
                in_doubt: Some(outcome),
            }),
        }
    }

    /// All statements of the transaction before its commit.
    async fn write(
        self,
        tx: &mut PgConnection,
        decoded: Decoded<'_>,
        searching: bool,
    ) -> anyhow::Result<Outcome> {
        let Self { batch, settings, stages, .. } = self;
        let Decoded { rows, end_records: ends, mut dead } = decoded;
        lock(tx, mode(settings, &ends)).await.context("can't take the schema lock")?;
        stages.enter(Stage::Rows);
        let row = positions::lock_row(tx, &batch.topic_partition).await.context("can't read the position")?;
        if row.position != batch.from {
            return Ok(Outcome::Stale { position: row.position });
        }
        ledger::insert_runs(tx, &runs(batch)).await.context("can't insert the runs")?;
        let records = if searching {
            rows::write_accepted(tx, batch, &mut dead).await.context("can't search for the row")?
        } else {
            rows::write_all(tx, rows).await?
        };
        stages.enter(Stage::Ledger);
        let counted_to = row.counted_to;
        order::check(tx, &batch.topic_partition, counted_to, &records)
            .await
            .context("can't check the order of runs")?;
        ledger::count(tx, &batch.topic_partition, counted_to, &records)
            .await
            .context("can't update the ledger")?;
        dead_letters::insert(tx, batch, &row, &dead, settings.dead).await?;
        let judged_runs = self.close(tx, counted_to, &ends).await?;
        positions::advance(tx, batch).await.context("can't move the position")?;
        Ok(Outcome::Applied { records, dead, judged_runs })
    }

    /// Applies the end-of-run records that are not counted yet.
    async fn close(
        self,
        tx: &mut PgConnection,
        counted_to: i64,
        ends: &[ReceivedEndRecord],
    ) -> anyhow::Result<Vec<JudgedRun>> {
        let mut judged_runs = Vec::new();
        for end in ends.iter().filter(|end| end.offset >= counted_to) {
            self.stages.enter(Stage::EndOfRun);
            let id = RunId { region: end.region, run: end.record.run };
            outbox::merge_published(tx, self.published, id)
                .await
                .context("can't follow the topic's decision")?;
            let judged = ledger::close(tx, &self.batch.topic_partition, end, self.settings.runs).await;
            judged_runs
                .extend(judged.with_context(|| {
                    format!("can't apply the end-of-run record at offset {}", end.offset)
                })?);
        }
        Ok(judged_runs)
    }
}

/// A batch that may decide about runs runs alone, and its commit waits for the disk: decisions are published to Kafka
/// afterwards. Other batches need not wait, because a commit that is lost in a crash takes the position with it.
const fn mode(settings: BatchSettings, ends: &[ReceivedEndRecord]) -> LockMode {
    if !ends.is_empty() {
        LockMode::Exclusive
    } else if settings.synchronous_commit {
        LockMode::Shared
    } else {
        LockMode::SharedWithAsynchronousCommit
    }
}

/// The runs of a batch's records. The ledger does not count the topic of dead letters.
fn runs(batch: &Batch) -> Vec<(Region, u32)> {
    if batch.topic_partition.kind == TopicKind::DeadLetters {
        return Vec::new();
    }
    let of = |record: &Record| {
        let stamp = record.stamp.as_ref().ok();
        stamp.map(|stamp| (stamp.region, stamp.version.run)).or(record.origin)
    };
    let runs: BTreeSet<_> = batch.records.iter().filter_map(of).collect();
    runs.into_iter().collect()
}
