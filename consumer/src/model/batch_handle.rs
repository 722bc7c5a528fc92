//! What connects a partition to its batch in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog_shared::shutdown::CancellationToken;

/// What a partition and its batch in flight tell each other.
#[derive(Clone, Default)]
pub(crate) struct BatchHandle {
    stop: CancellationToken,
    waits: Arc<AtomicBool>,
}

impl BatchHandle {
    /// The batch is not to be tried again.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Cancelled once the batch is not to be tried again.
    pub(crate) const fn token(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }

    /// Whether the batch waits for the database.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }
}
