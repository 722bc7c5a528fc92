//! When to retry a request, with exponential backoff. The error says whether a retry may help. This is the only module
//! that uses the `backoff` crate.

use std::time::{Duration, Instant};

use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::api::clock::RuntimeClock;
use crate::api::error::{ApiError, Retries};

/// The first and the longest wait on average. Each wait is random, from zero to twice that, so that lanes and producers
/// that failed together don't retry together.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
const JITTER: f64 = 1.0;
/// The maximum number of retries for errors with [`Retries::Few`].
const FEW: u32 = 3;

impl backoff::Clock for RuntimeClock {
    fn now(&self) -> Instant {
        governor::clock::Clock::now(self)
    }
}

/// The retries of one request.
pub(crate) struct Retry {
    waits: ExponentialBackoff<RuntimeClock>,
    /// The number of retries after errors with [`Retries::Few`].
    few: u32,
}

impl Retry {
    /// Retries within a time budget.
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
        Self { waits, few: 0 }
    }

    /// How long to wait before the next retry after `error`; `None` if a retry can't help or would exceed the budget.
    /// Honours the `Retry-After` of the API.
    pub(crate) fn after(&mut self, error: &ApiError) -> Option<Duration> {
        match error.retries() {
            Retries::None => return None,
            Retries::Few if self.few == FEW => return None,
            Retries::Few => self.few += 1,
            Retries::UntilBudget => {}
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

    fn refused(status: u16, retry: Retries, retry_after: Option<Duration>) -> ApiError {
        ApiError::Status { status, sender: Sender::Api, message: String::new(), retry_after, retry }
    }

    fn throttled(retry_after: Option<Duration>) -> ApiError {
        refused(429, Retries::UntilBudget, retry_after)
    }

    /// The waits of a request that always fails with the same error.
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
    async fn retry_after_is_honoured() {
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
            // From zero to twice the average, over the full range.
            assert!(nth.iter().all(|wait| *wait <= cap * 2), "{n}: {nth:?}");
            assert!(nth.iter().any(|wait| *wait < cap / 2), "{n}: {nth:?}");
            assert!(nth.iter().any(|wait| *wait > cap * 3 / 2), "{n}: {nth:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_budget_is_never_exceeded() {
        for budget in [Duration::from_secs(1), Duration::from_secs(600)] {
            let waits = waits(budget, &throttled(None)).await;
            assert!(!waits.is_empty());
            assert!(waits.iter().sum::<Duration>() <= budget, "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_duration_of_attempts_counts_for_the_budget() {
        let mut retry = Retry::new(Duration::from_secs(60));
        assert!(retry.after(&throttled(None)).is_some());
        sleep(Duration::from_secs(61)).await;
        assert_eq!(retry.after(&throttled(None)), None);
    }

    #[test]
    fn fatal_errors_and_a_used_up_budget_end_the_retries() {
        let fatal = refused(404, Retries::None, None);
        assert_eq!(Retry::new(Duration::from_secs(600)).after(&fatal), None);
        assert_eq!(Retry::new(Duration::ZERO).after(&throttled(None)), None);
        for too_long in [Duration::from_secs(u64::MAX), Duration::MAX] {
            assert_eq!(Retry::new(Duration::from_secs(600)).after(&throttled(Some(too_long))), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_another_region_is_retried_a_few_times_only() {
        let error = ApiError::OtherRegion("aws-eu-west-1-prod".to_owned());
        assert_eq!(waits(Duration::from_secs(600), &error).await.len(), 3);
    }
}
