//! Outages of the database: waited out for as long as they last, and said.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::shutdown::CancellationToken;
use tokio::time::sleep;

use crate::store::database::in_words;
use crate::store::db_error;

/// How often an outage is told of again.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// The first wait before something is tried again, and the longest. Each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a consumer says of the outages that all its batches meet.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<Reported>>);

struct Reported {
    since: Instant,
    last: Instant,
}

impl Outage {
    /// Something failed that passes by itself.
    pub(crate) fn log(&self, error: &anyhow::Error) {
        let now = Instant::now();
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, is_news) = match &*reported {
            None => (now, true),
            Some(reported) => (reported.since, now.duration_since(reported.last) >= REPEAT_AFTER),
        };
        if is_news {
            *reported = Some(Reported { since, last: now });
            tracing::warn!(
                error = in_words(error),
                seconds = since.elapsed().as_secs(),
                "trouble with the database; trying again until it passes"
            );
        }
    }

    /// Something went well.
    pub(crate) fn is_over(&self) {
        let reported = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Reported { since, .. }) = reported {
            tracing::info!(seconds = since.elapsed().as_secs(), "the trouble with the database has passed");
        }
    }

    /// Does something with the database for as long as its outages last; none if it is to `stop`.
    ///
    /// # Errors
    /// What doesn't pass by itself.
    pub(crate) async fn wait_out<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        stop: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> anyhow::Result<Option<T>> {
        let mut waits = Backoff::default();
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(None),
                ended = attempt() => ended,
            };
            match ended {
                Ok(done) => {
                    self.is_over();
                    return Ok(Some(done));
                }
                Err(error) if db_error::is_transient(&error) => self.log(&error),
                Err(error) => return Err(error),
            }
            if !waits.wait(stop).await {
                return Ok(None);
            }
        }
    }
}

/// The waits between tries.
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_WAIT)
    }
}

impl Backoff {
    /// Waits before the next try; false if it is to `stop` instead.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = stop.cancelled() => false,
            () = sleep(self.next()) => true,
        }
    }

    /// How long the next wait is.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST_WAIT);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut waits = Backoff::default();
        let first: Vec<u128> = (0..8).map(|_| waits.next().as_millis()).collect();
        assert_eq!(first, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
