//! Outages of the database: retries with backoff, and their log messages.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::shutdown::CancellationToken;
use tokio::time::sleep;

use crate::store::database::format_error;
use crate::store::db_error;

/// Interval between two log messages about the same outage.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The first and the longest delay between retries. Each delay is twice the one before.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The current outage, shared by all batches of a consumer so that it is logged once.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<Reported>>);

struct Reported {
    since: Instant,
    last: Instant,
}

impl Outage {
    /// Logs a transient error.
    pub(crate) fn log(&self, error: &anyhow::Error) {
        let now = Instant::now();
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, is_due) = match &*reported {
            None => (now, true),
            Some(reported) => (reported.since, now.duration_since(reported.last) >= LOG_INTERVAL),
        };
        if is_due {
            *reported = Some(Reported { since, last: now });
            tracing::warn!(
                event = events::DATABASE_UNREACHABLE,
                error = format_error(error),
                seconds = since.elapsed().as_secs(),
                "database unreachable, retrying"
            );
        }
    }

    /// Records a success: the outage, if any, is over. Returns whether there was one.
    pub(crate) fn end(&self) -> bool {
        let reported = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let was_down = reported.is_some();
        if let Some(Reported { since, .. }) = reported {
            tracing::info!(
                event = events::DATABASE_REACHABLE,
                seconds = since.elapsed().as_secs(),
                "database reachable again"
            );
        }
        was_down
    }

    /// Repeats `attempt` while its errors are transient. `None` if `stop` is cancelled first.
    ///
    /// # Errors
    /// A permanent error.
    pub(crate) async fn retry_while_down<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        stop: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> anyhow::Result<Option<T>> {
        let mut backoff = Backoff::default();
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(None),
                ended = attempt() => ended,
            };
            match ended {
                Ok(done) => {
                    self.end();
                    return Ok(Some(done));
                }
                Err(error) if db_error::is_transient(&error) => self.log(&error),
                Err(error) => return Err(error),
            }
            if !backoff.wait(stop).await {
                return Ok(None);
            }
        }
    }
}

/// Exponential backoff between retries.
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_DELAY)
    }
}

impl Backoff {
    /// Waits before the next attempt. False if `stop` is cancelled first.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = stop.cancelled() => false,
            () = sleep(self.next()) => true,
        }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(LONGEST_DELAY);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let first: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(first, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
