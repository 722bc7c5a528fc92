//! Retries of a batch while the database is unreachable, until its partition is revoked. A batch that a timeout cancels
//! is split in halves, because a retry would time out again.

use std::sync::Arc;

use catalog_shared::events;
use catalog_shared::monitoring::names;
use futures::FutureExt;
use futures::future::BoxFuture;
use metrics::counter;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::thresholds::BatchSettings;
use crate::decode::Dead;
use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::model::effect::Applied;
use crate::model::record::Record;
use crate::store::answer_limit::is_no_answer;
use crate::store::apply::{Failure, Outcome, apply};
use crate::store::database::{CONNECT_TIMEOUT, Sessions, format_error};
use crate::store::db_error::RetryCause;
use crate::store::ledger::JudgedRun;
use crate::store::outage::{Backoff, Outage};
use crate::store::published_decisions::PublishedDecisions;
use crate::store::{db_error, dead_letters};

/// The context that all batches of a consumer share.
#[derive(Clone)]
pub(crate) struct BatchContext {
    pub(crate) pool: PgPool,
    /// Opens connections outside the pool, to probe the database.
    pub(crate) sessions: Sessions,
    /// Limits the number of batches that use the database at once.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) settings: BatchSettings,
    pub(crate) outage: Arc<Outage>,
    pub(crate) published: Arc<PublishedDecisions>,
}

impl BatchContext {
    /// Applies a batch, with retries while the database is unreachable.
    ///
    /// # Errors
    /// A permanent error.
    pub(crate) async fn apply(&self, batch: &Batch, handle: &BatchHandle) -> anyhow::Result<Outcome> {
        let applied = self.apply_part(batch, handle).await;
        handle.set_waits(false);
        applied
    }

    /// Applies a batch or a part of one. It is split in halves if it times out.
    fn apply_part<'a>(
        &'a self,
        batch: &'a Batch,
        handle: &'a BatchHandle,
    ) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        async move {
            let [first, second] = match self.apply_with_retries(batch, handle).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::TimedOut => halves(batch),
            };
            match self.apply_part(&first, handle).await? {
                Outcome::Applied { records, dead, judged_runs } => {
                    let rest = self.apply_part(&second, handle).await?;
                    Ok(combine((records, dead, judged_runs), rest))
                }
                other => Ok(other),
            }
        }
        .boxed()
    }

    async fn apply_with_retries(&self, batch: &Batch, handle: &BatchHandle) -> anyhow::Result<Attempt> {
        let mut backoff = Backoff::default();
        let mut in_doubt = None;
        loop {
            let (settings, stages, published) = (self.settings, handle.stages(), &self.published);
            match apply(&self.pool, &self.permits, batch, settings, stages, published).await {
                Ok(outcome) => {
                    if self.outage.end() {
                        self.published.recheck();
                    }
                    handle.set_down(false);
                    let outcome = resolve_doubt(batch, outcome, in_doubt);
                    log_committed(batch, &outcome);
                    return Ok(Attempt::Done(outcome));
                }
                Err(Failure { error, in_doubt: doubt })
                    if is_too_slow(&error)
                        && batch.records.len() > 1
                        && in_doubt.is_none()
                        && (doubt.is_none() || db_error::was_cancelled(&error)) =>
                {
                    log_halved(batch, &error);
                    return Ok(Attempt::TimedOut);
                }
                Err(Failure { error, in_doubt: doubt }) if db_error::is_transient(&error) => {
                    // A failure before the commit does not resolve the doubt about an earlier commit.
                    in_doubt = doubt.or(in_doubt);
                    handle.set_down(self.log_retry(&error).is_outage());
                }
                Err(Failure { error, .. }) => return Err(error),
            }
            handle.set_waits(true);
            if !self.wait_for_database(&mut backoff, handle).await? {
                return Ok(Attempt::Done(Outcome::Abandoned));
            }
            handle.set_waits(false);
        }
    }

    /// Logs and counts the retry of a batch after this error. Returns its cause. Only an outage concerns other batches.
    fn log_retry(&self, error: &anyhow::Error) -> RetryCause {
        let cause = count_retry(error);
        if cause.is_outage() {
            self.outage.log(error);
        } else {
            tracing::warn!(
                event = events::BATCH_RETRIED,
                error = format_error(error),
                cause = cause.name(),
                "batch failed, retrying"
            );
        }
        cause
    }

    /// Waits until the database accepts connections. False if the batch must be abandoned. The pool would wait too, but
    /// without logging the reason.
    async fn wait_for_database(&self, backoff: &mut Backoff, handle: &BatchHandle) -> anyhow::Result<bool> {
        while backoff.wait(handle.token()).await {
            let probe = tokio::select! {
                () = handle.token().cancelled() => return Ok(false),
                probe = timeout(CONNECT_TIMEOUT, self.sessions.probe()) => probe,
            };
            match probe {
                Ok(Ok(())) => return Ok(true),
                // The pool may still have all allowed connections, and they may work.
                Ok(Err(error)) if db_error::has_too_many_connections(&error) => {
                    self.outage.log(&error);
                    return Ok(true);
                }
                Ok(Err(error)) if db_error::is_transient(&error) => self.outage.log(&error),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.outage.log(&anyhow::anyhow!("timed out")),
            }
        }
        Ok(false)
    }
}

/// Whether a smaller batch may succeed: a timeout ended this one, or no answer came within its limit.
fn is_too_slow(error: &anyhow::Error) -> bool {
    db_error::is_timed_out(error) || is_no_answer(error)
}

/// The result of an attempt to apply a batch.
enum Attempt {
    Done(Outcome),
    TimedOut,
}

/// Splits a batch of at least two records.
fn halves(batch: &Batch) -> [Batch; 2] {
    let (first, second) = batch.records.split_at(batch.records.len() / 2);
    let between = second.first().map_or(batch.to, |record| record.offset);
    let part = |from, to, records: &[Record]| Batch {
        topic_partition: batch.topic_partition.clone(),
        from,
        to,
        records: records.to_vec(),
    };
    [part(batch.from, between, first), part(between, batch.to, second)]
}

/// The outcome of a batch whose first half was applied. If another consumer continues after the first half, that half is
/// in the ledger but not in this consumer's summary.
fn combine(first: (Vec<Applied>, Vec<Dead>, Vec<JudgedRun>), second: Outcome) -> Outcome {
    match second {
        Outcome::Applied { records: more, dead: more_dead, judged_runs: more_runs } => {
            let (mut records, mut dead, mut judged_runs) = first;
            records.extend(more);
            dead.extend(more_dead);
            judged_runs.extend(more_runs);
            Outcome::Applied { records, dead, judged_runs }
        }
        other => other,
    }
}

/// A commit whose response was lost has succeeded if the position is at the end of its batch. Its outcome then counts,
/// because no other consumer reports it.
fn resolve_doubt(batch: &Batch, outcome: Outcome, in_doubt: Option<Outcome>) -> Outcome {
    match (outcome, in_doubt) {
        (Outcome::Stale { position }, Some(done)) if position == batch.to => done,
        (outcome, _) => outcome,
    }
}

/// Logs what was committed, part by part: if a later part of the batch fails, its position is already past this one.
fn log_committed(batch: &Batch, outcome: &Outcome) {
    if let Outcome::Applied { dead, judged_runs, .. } = outcome {
        dead_letters::log(batch, dead);
        judged_runs.iter().for_each(JudgedRun::log);
    }
}

/// Counts the retry of a batch after this error. Returns its cause.
fn count_retry(error: &anyhow::Error) -> RetryCause {
    let cause = RetryCause::of(error);
    counter!(names::CONSUMER_BATCH_RETRIES, "cause" => cause.name()).increment(1);
    cause
}

fn log_halved(batch: &Batch, error: &anyhow::Error) {
    count_retry(error);
    tracing::warn!(
        event = events::BATCH_HALVED,
        error = format_error(error),
        records = batch.records.len(),
        "batch timed out, retrying in halves"
    );
}
