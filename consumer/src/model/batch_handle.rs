//! The link between a partition and its batch in flight.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use catalog_shared::shutdown::CancellationToken;

use crate::model::stages::Stages;

/// Shared by a partition and its batch in flight: the stop signal, and what the batch does or waits for.
#[derive(Clone, Default)]
pub(crate) struct BatchHandle {
    stop: CancellationToken,
    waits: Arc<AtomicBool>,
    down_since: Arc<Mutex<Option<Instant>>>,
    stages: Arc<Stages>,
}

impl BatchHandle {
    /// Stops the retries of the batch.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Cancelled when the batch must not be retried.
    pub(crate) const fn token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Records whether the batch waits for the database.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Whether the batch waits for the database.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Records the result of an attempt: whether the database is down.
    pub(crate) fn set_down(&self, is_down: bool) {
        let mut since = self.since();
        *since = is_down.then(|| since.unwrap_or_else(Instant::now));
    }

    /// Since when all attempts have failed because the database is down.
    pub(crate) fn down_since(&self) -> Option<Instant> {
        *self.since()
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.down_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stages of the batch.
    pub(crate) fn stages(&self) -> &Stages {
        &self.stages
    }
}
