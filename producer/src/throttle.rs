//! One limiter for all lanes.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::{Instant, sleep_until};

use crate::cli::Rate;

/// Lets requests pass at a rate, with a burst of one, and holds all of them back for as long as the API
/// asked for.
pub(crate) struct Throttle {
    limiter: Option<DefaultDirectRateLimiter>,
    paused_until: Mutex<Instant>,
}

impl Throttle {
    pub(crate) fn new(rate: Rate) -> Self {
        let limiter = match rate {
            Rate::Unlimited => None,
            Rate::PerSecond(rate) => Quota::with_period(Duration::from_secs_f64(1.0 / rate))
                .map(|quota| RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN))),
        };
        Self { limiter, paused_until: Mutex::new(Instant::now()) }
    }

    /// Waits until a request may be sent.
    pub(crate) async fn ready(&self) {
        self.pause_passed().await;
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
            // Another lane may have been told to wait while this one stood in the queue.
            self.pause_passed().await;
        }
    }

    /// Holds every lane back for this long from now on.
    pub(crate) fn pause(&self, time: Duration) {
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(Instant::now() + time);
    }

    fn paused_until(&self) -> Instant {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pause_passed(&self) {
        while Instant::now() < self.paused_until() {
            sleep_until(self.paused_until()).await;
        }
    }
}
