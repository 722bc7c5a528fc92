//! The clock of the rate limiter and of waits: that of tokio, which tests can pause and advance.

use std::time::Instant;

/// The time of the tokio runtime.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RuntimeClock;

impl governor::clock::Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
