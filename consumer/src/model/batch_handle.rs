//! The link between a partition and its batch in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog_shared::shutdown::CancellationToken;

/// Shared by a partition and its batch in flight: the stop signal and the waiting state.
#[derive(Clone, Default)]
pub(crate) struct BatchHandle {
    stop: CancellationToken,
    waits: Arc<AtomicBool>,
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
}
