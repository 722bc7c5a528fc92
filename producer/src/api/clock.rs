//! The clock of limits and waits: tokio's, which tests stop and wind on.

use std::time::Instant;

/// What time it is for the runtime.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RuntimeClock;

impl governor::clock::Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
