//! Asking again: which errors are worth it is theirs to say, how long and how often is said here. This
//! is the one module that knows the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::error::{ApiError, Worth};

/// The first wait and the longest one, in the mean. A wait is drawn between nothing and twice that, so
/// that lanes and producers that failed together don't come back together.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
const JITTER: f64 = 1.0;
/// How often an answer of a server that doesn't seem to follow the rules is asked for again.
const FEW: u32 = 3;

/// The waits between the tries of one request.
pub(crate) struct Retry {
    waits: ExponentialBackoff,
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
    use super::*;

    fn throttled(retry_after: Option<Duration>) -> ApiError {
        ApiError::Status { status: 429, message: String::new(), retry_after }
    }

    #[test]
    fn what_the_api_asks_for_is_honoured() {
        let wait = Retry::new(Duration::from_secs(600)).after(&throttled(Some(Duration::from_secs(90))));
        assert!(wait >= Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_fatal_answer_and_a_spent_budget_end_the_tries() {
        let fatal = ApiError::Status { status: 403, message: String::new(), retry_after: None };
        assert_eq!(Retry::new(Duration::from_secs(600)).after(&fatal), None);
        assert_eq!(Retry::new(Duration::ZERO).after(&throttled(None)), None);
        let too_long = throttled(Some(Duration::from_secs(u64::MAX)));
        assert_eq!(Retry::new(Duration::from_secs(600)).after(&too_long), None);
    }
}
