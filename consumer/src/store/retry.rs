//! A batch on its way: tried again for as long as the database is away, until its partition is given up. One that a
//! timeout cancels is tried in halves, because waiting would not make it shorter.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::thresholds::Thresholds;
use crate::decode::Dead;
use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::model::effect::Applied;
use crate::model::record::Record;
use crate::store::apply::{Failure, Outcome, apply};
use crate::store::database::{CONNECT_TIMEOUT, Sessions, in_words};
use crate::store::db_error;
use crate::store::ledger::JudgedRun;
use crate::store::outage::{Backoff, Outage};

/// What all batches of a consumer share.
#[derive(Clone)]
pub(crate) struct BatchContext {
    pub(crate) pool: PgPool,
    /// Where the pool's connections come from.
    pub(crate) sessions: Sessions,
    /// One for each batch that may be at the database.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) thresholds: Thresholds,
    pub(crate) outage: Arc<Outage>,
}

impl BatchContext {
    /// Applies a batch, through outages of the database.
    ///
    /// # Errors
    /// What doesn't pass by itself.
    pub(crate) async fn apply(&self, batch: &Batch, handle: &BatchHandle) -> anyhow::Result<Outcome> {
        let applied = self.apply_part(batch, handle).await;
        handle.set_waits(false);
        applied
    }

    /// Applies a batch or a part of one, in halves where it takes too long whole.
    fn apply_part<'a>(
        &'a self,
        batch: &'a Batch,
        handle: &'a BatchHandle,
    ) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        async move {
            let [first, second] = match self.try_until_done(batch, handle).await? {
                Tried::Done(outcome) => return Ok(outcome),
                Tried::TooLong => halves(batch),
            };
            match self.apply_part(&first, handle).await? {
                Outcome::Applied { records, dead, verdicts } => {
                    let rest = self.apply_part(&second, handle).await?;
                    Ok(joined((records, dead, verdicts), rest))
                }
                other => Ok(other),
            }
        }
        .boxed()
    }

    async fn try_until_done(&self, batch: &Batch, handle: &BatchHandle) -> anyhow::Result<Tried> {
        let mut waits = Backoff::default();
        let mut in_doubt = None;
        loop {
            match apply(&self.pool, &self.permits, batch, self.thresholds).await {
                Ok(outcome) => {
                    self.outage.is_over();
                    return Ok(Tried::Done(resolve_doubt(batch, outcome, in_doubt)));
                }
                Err(Failure { error, in_doubt: doubt })
                    if db_error::is_cut_short(&error)
                        && batch.records.len() > 1
                        && in_doubt.is_none()
                        && (doubt.is_none() || db_error::was_cancelled(&error)) =>
                {
                    tracing::warn!(
                        error = in_words(&error),
                        records = batch.records.len(),
                        "a timeout has cancelled a batch; trying it in halves"
                    );
                    return Ok(Tried::TooLong);
                }
                Err(Failure { error, in_doubt: doubt }) if db_error::is_transient(&error) => {
                    // An attempt that failed before its commit says nothing of the one before.
                    in_doubt = doubt.or(in_doubt);
                    self.outage.log(&error);
                }
                Err(Failure { error, .. }) => return Err(error),
            }
            handle.set_waits(true);
            if !self.wait_for_database(&mut waits, handle).await? {
                return Ok(Tried::Done(Outcome::GivenUp));
            }
            handle.set_waits(false);
        }
    }

    /// Returns when the database takes connections again; false if the batch is to be given up instead. The
    /// pool would wait too, and without a word of why.
    async fn wait_for_database(&self, waits: &mut Backoff, handle: &BatchHandle) -> anyhow::Result<bool> {
        while waits.wait(handle.token()).await {
            let tried = tokio::select! {
                () = handle.token().cancelled() => return Ok(false),
                tried = timeout(CONNECT_TIMEOUT, self.sessions.try_one()) => tried,
            };
            match tried {
                Ok(Ok(())) => return Ok(true),
                // The pool may still hold all that are allowed, and they may be good.
                Ok(Err(error)) if db_error::has_too_many_connections(&error) => {
                    self.outage.log(&error);
                    return Ok(true);
                }
                Ok(Err(error)) if db_error::is_transient(&error) => self.outage.log(&error),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.outage.log(&anyhow::anyhow!("the database takes long to answer")),
            }
        }
        Ok(false)
    }
}

/// What came of a batch, or that it takes too long.
enum Tried {
    Done(Outcome),
    TooLong,
}

/// A batch of two records or more, in two.
fn halves(batch: &Batch) -> [Batch; 2] {
    let (first, second) = batch.records.split_at(batch.records.len() / 2);
    let between = second.first().map_or(batch.to, |record| record.offset);
    let part = |from, to, records: &[Record]| Batch {
        place: batch.place.clone(),
        from,
        to,
        records: records.to_vec(),
    };
    [part(batch.from, between, first), part(between, batch.to, second)]
}

/// What came of a batch whose first half was applied. Where somebody else goes on behind that, the first half is in
/// the books but not in this consumer's summary.
fn joined(first: (Vec<Applied>, Vec<Dead>, Vec<JudgedRun>), second: Outcome) -> Outcome {
    match second {
        Outcome::Applied { records: more, dead: more_dead, verdicts: more_verdicts } => {
            let (mut records, mut dead, mut verdicts) = first;
            records.extend(more);
            dead.extend(more_dead);
            verdicts.extend(more_verdicts);
            Outcome::Applied { records, dead, verdicts }
        }
        other => other,
    }
}

/// A commit whose answer was lost was done, if the position stands at its end: then what is known of it
/// counts, for nobody else will tell.
fn resolve_doubt(batch: &Batch, outcome: Outcome, in_doubt: Option<Outcome>) -> Outcome {
    match (outcome, in_doubt) {
        (Outcome::Stale { position }, Some(done)) if position == batch.to => done,
        (outcome, _) => outcome,
    }
}
