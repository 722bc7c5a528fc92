//! A batch on its way: tried again for as long as the database is away, until its partition is given up. One that a
//! timeout cancels is tried in halves, because waiting would not make it shorter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog_shared::shutdown::CancellationToken;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::apply::failure;
use crate::apply::outage::{Outage, Waits};
use crate::apply::{Bounds, Failure, Outcome, apply};
use crate::batch::{Applied, Batch};
use crate::books::ledger::Judged;
use crate::consume::received::Received;
use crate::database::{CONNECT_PATIENCE, Sessions, in_words};
use crate::decode::Dead;

/// What a partition and its batch in flight tell each other.
#[derive(Clone, Default)]
pub(crate) struct Thread {
    stop: CancellationToken,
    waits: Arc<AtomicBool>,
}

impl Thread {
    /// The batch is not to be tried again.
    pub(crate) fn cut(&self) {
        self.stop.cancel();
    }

    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Whether the batch waits for the database.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }
}

/// What all batches of a consumer share.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) pool: PgPool,
    /// Where the pool's connections come from.
    pub(crate) sessions: Sessions,
    /// One for each batch that may be at the database.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) bounds: Bounds,
    pub(crate) outage: Arc<Outage>,
}

impl Means {
    /// Applies a batch, through outages of the database.
    ///
    /// # Errors
    /// What doesn't pass by itself.
    pub(crate) async fn apply(&self, batch: &Batch, thread: &Thread) -> anyhow::Result<Outcome> {
        let applied = self.apply_part(batch, thread).await;
        thread.set_waits(false);
        applied
    }

    /// Applies a batch or a part of one, in halves where it takes too long whole.
    fn apply_part<'a>(
        &'a self,
        batch: &'a Batch,
        thread: &'a Thread,
    ) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        async move {
            let [first, second] = match self.try_until_done(batch, thread).await? {
                Tried::Done(outcome) => return Ok(outcome),
                Tried::TooLong => halves(batch),
            };
            match self.apply_part(&first, thread).await? {
                Outcome::Applied { records, dead, verdicts } => {
                    let rest = self.apply_part(&second, thread).await?;
                    Ok(joined((records, dead, verdicts), rest))
                }
                other => Ok(other),
            }
        }
        .boxed()
    }

    async fn try_until_done(&self, batch: &Batch, thread: &Thread) -> anyhow::Result<Tried> {
        let mut waits = Waits::default();
        let mut in_doubt = None;
        loop {
            match apply(&self.pool, &self.turns, batch, self.bounds).await {
                Ok(outcome) => {
                    self.outage.is_over();
                    return Ok(Tried::Done(settle_doubt(batch, outcome, in_doubt)));
                }
                Err(Failure { error, in_doubt: doubt })
                    if failure::is_cut_short(&error)
                        && batch.records.len() > 1
                        && in_doubt.is_none()
                        && (doubt.is_none() || failure::was_cancelled(&error)) =>
                {
                    tracing::warn!(
                        error = in_words(&error),
                        records = batch.records.len(),
                        "a timeout has cancelled a batch; trying it in halves"
                    );
                    return Ok(Tried::TooLong);
                }
                Err(Failure { error, in_doubt: doubt }) if failure::passes(&error) => {
                    // An attempt that failed before its commit says nothing of the one before.
                    in_doubt = doubt.or(in_doubt);
                    self.outage.tell(&error);
                }
                Err(Failure { error, .. }) => return Err(error),
            }
            thread.set_waits(true);
            if !self.wait_for_database(&mut waits, thread).await? {
                return Ok(Tried::Done(Outcome::GivenUp));
            }
            thread.set_waits(false);
        }
    }

    /// Returns when the database takes connections again; false if the batch is to be given up instead. The
    /// pool would wait too, and without a word of why.
    async fn wait_for_database(&self, waits: &mut Waits, thread: &Thread) -> anyhow::Result<bool> {
        while waits.wait(&thread.stop).await {
            let tried = tokio::select! {
                () = thread.stop.cancelled() => return Ok(false),
                tried = timeout(CONNECT_PATIENCE, self.sessions.try_one()) => tried,
            };
            match tried {
                Ok(Ok(())) => return Ok(true),
                // The pool may still hold all that are allowed, and they may be good.
                Ok(Err(error)) if failure::has_too_many_connections(&error) => {
                    self.outage.tell(&error);
                    return Ok(true);
                }
                Ok(Err(error)) if failure::passes(&error) => self.outage.tell(&error),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.outage.tell(&anyhow::anyhow!("the database takes long to answer")),
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
    let part = |from, to, records: &[Received]| Batch {
        place: batch.place.clone(),
        from,
        to,
        records: records.to_vec(),
    };
    [part(batch.from, between, first), part(between, batch.to, second)]
}

/// What came of a batch whose first half was applied. Where somebody else goes on behind that, the first half is in
/// the books but not in this consumer's summary.
fn joined(first: (Vec<Applied>, Vec<Dead>, Vec<Judged>), second: Outcome) -> Outcome {
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
fn settle_doubt(batch: &Batch, outcome: Outcome, in_doubt: Option<Outcome>) -> Outcome {
    match (outcome, in_doubt) {
        (Outcome::Stale { position }, Some(done)) if position == batch.to => done,
        (outcome, _) => outcome,
    }
}
