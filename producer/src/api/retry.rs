//! Asking again: which errors are worth it is theirs to say, how long and how often is said here. This
//! is the one module that knows the `backoff` crate.

use std::time::{Duration, Instant};

use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::api::clock::RuntimeClock;
use crate::api::error::{ApiError, Worth};

/// The first wait and the longest one, in the mean. A wait is drawn between nothing and twice that, so
/// that lanes and producers that failed together don't come back together.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
const JITTER: f64 = 1.0;
/// How often an answer of a server that doesn't seem to follow the rules is asked for again.
const FEW: u32 = 3;

impl backoff::Clock for RuntimeClock {
    fn now(&self) -> Instant {
        governor::clock::Clock::now(self)
    }
}

/// The waits between the tries of one request.
pub(crate) struct Retry {
    waits: ExponentialBackoff<RuntimeClock>,
    /// How many answers did not follow the rules.
    odd: u32,
}

impl Retry {
    /// Waits that grow for as long as `budget`, then no more.
    pub(crate) fn new(budget: Duration) -> Self {
        let waits = ExponentialBackoff {
            current_interval: FIRST,
            initial_interval: FIRST,
            max_interval: LONGEST,
            randomization_factor: JITTER,
            multiplier: 2.0,
            max_elapsed_time: Some(budget),
            ..ExponentialBackoff::default()
        };
        Self { waits, odd: 0 }
    }

    /// How long to wait before the next try after `error`; none when it's not worth one or the budget
    /// is spent or would be. What the API asks for is honoured.
    pub(crate) fn after(&mut self, error: &ApiError) -> Option<Duration> {
        match error.worth() {
            Worth::Nothing => return None,
            Worth::FewTries if self.odd == FEW => return None,
            Worth::FewTries => self.odd += 1,
            Worth::Budget => {}
        }
        let wait = self.waits.next_backoff()?.max(error.retry_after().unwrap_or_default());
        let end = self.waits.get_elapsed_time().checked_add(wait)?;
        (Some(end) <= self.waits.max_elapsed_time).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::api::error::Sender;

    fn refused(status: u16, worth: Worth, retry_after: Option<Duration>) -> ApiError {
        ApiError::Status { status, sender: Sender::Api, message: String::new(), retry_after, worth }
    }

    fn throttled(retry_after: Option<Duration>) -> ApiError {
        refused(429, Worth::Budget, retry_after)
    }

    /// The waits of a request that meets the same error until it gives up.
    async fn waits(budget: Duration, error: &ApiError) -> Vec<Duration> {
        let mut retry = Retry::new(budget);
        let mut waits = Vec::new();
        while let Some(wait) = retry.after(error) {
            sleep(wait).await;
            waits.push(wait);
        }
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_api_asks_for_is_honoured() {
        let waits = waits(Duration::from_secs(600), &throttled(Some(Duration::from_secs(90)))).await;
        assert!(waits.len() <= 6 && waits.iter().all(|wait| *wait >= Duration::from_secs(90)), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_cap_with_full_jitter() {
        let error = throttled(None);
        let all = join_all((0..200).map(|_| waits(Duration::from_secs(3_600), &error))).await;
        for (n, cap) in [(0, FIRST), (1, FIRST * 2), (4, FIRST * 16), (20, LONGEST)] {
            let nth: Vec<_> = all.iter().filter_map(|waits| waits.get(n).copied()).collect();
            assert_eq!(nth.len(), all.len());
            // From nothing to twice the mean, and all over it.
            assert!(nth.iter().all(|wait| *wait <= cap * 2), "{n}: {nth:?}");
            assert!(nth.iter().any(|wait| *wait < cap / 2), "{n}: {nth:?}");
            assert!(nth.iter().any(|wait| *wait > cap * 3 / 2), "{n}: {nth:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_of_time_and_never_exceeded() {
        for budget in [Duration::from_secs(1), Duration::from_secs(600)] {
            let waits = waits(budget, &throttled(None)).await;
            assert!(!waits.is_empty());
            assert!(waits.iter().sum::<Duration>() <= budget, "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_tries_take_is_of_the_budget() {
        let mut retry = Retry::new(Duration::from_secs(60));
        assert!(retry.after(&throttled(None)).is_some());
        sleep(Duration::from_secs(61)).await;
        assert_eq!(retry.after(&throttled(None)), None);
    }

    #[test]
    fn a_fatal_answer_and_a_spent_budget_end_the_tries() {
        let fatal = refused(404, Worth::Nothing, None);
        assert_eq!(Retry::new(Duration::from_secs(600)).after(&fatal), None);
        assert_eq!(Retry::new(Duration::ZERO).after(&throttled(None)), None);
        for too_long in [Duration::from_secs(u64::MAX), Duration::MAX] {
            assert_eq!(Retry::new(Duration::from_secs(600)).after(&throttled(Some(too_long))), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_breaks_the_rules_gets_a_few_tries_only() {
        let odd = ApiError::OtherRegion("aws-eu-west-1-prod".to_owned());
        assert_eq!(waits(Duration::from_secs(600), &odd).await.len(), 3);
    }
}
