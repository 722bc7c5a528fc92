//! A batch on its way: tried again for as long as the database is away, until its partition is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use catalog_shared::shutdown::CancellationToken;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::apply::failure;
use crate::apply::outage::{Outage, Waits};
use crate::apply::{Bounds, Failure, Outcome, apply};
use crate::batch::Batch;
use crate::database::CONNECT_PATIENCE;

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
        let applied = self.try_until_done(batch, thread).await;
        thread.set_waits(false);
        applied
    }

    async fn try_until_done(&self, batch: &Batch, thread: &Thread) -> anyhow::Result<Outcome> {
        let mut waits = Waits::default();
        let mut in_doubt = None;
        loop {
            match apply(&self.pool, &self.turns, batch, self.bounds).await {
                Ok(outcome) => {
                    self.outage.is_over();
                    return Ok(settle_doubt(batch, outcome, in_doubt));
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
                return Ok(Outcome::GivenUp);
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
                tried = timeout(CONNECT_PATIENCE, self.connect()) => tried,
            };
            match tried {
                Ok(Ok(())) => return Ok(true),
                Ok(Err(error)) if failure::passes(&error) => self.outage.tell(&error),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.outage.tell(&anyhow::anyhow!("the database takes long to answer")),
            }
        }
        Ok(false)
    }

    async fn connect(&self) -> anyhow::Result<()> {
        let connection = PgConnection::connect_with(&self.pool.connect_options()).await;
        Ok(connection.context("can't connect to the database")?.close().await?)
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
