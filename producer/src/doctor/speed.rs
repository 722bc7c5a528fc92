//! How fast the API answers, and the end of the time for it.

use std::time::Duration;

use catalog_shared::doctor::Finding;
use reqwest::Url;
use tokio::time::Instant;

use super::{checks, next};

/// An answer to a request for ten results takes much less than a second. From here on, a crawl takes hours.
const SLOW: Duration = Duration::from_secs(5);

/// The slowest answer so far, and when no more requests are sent.
pub(super) struct Stopwatch {
    pub(super) deadline: Instant,
    slowest: Duration,
    /// How long the last request had no answer when the time was over.
    unanswered: Option<Duration>,
}

impl Stopwatch {
    /// For requests that have this time in total. Some of it is left for the report.
    pub(super) fn start(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit * 4 / 5, slowest: Duration::ZERO, unanswered: None }
    }

    /// Records the time of an answer.
    pub(super) fn answered(&mut self, after: Duration) {
        self.slowest = self.slowest.max(after);
    }

    /// Records that the time is over, and for how long the request in flight had no answer.
    pub(super) fn end(&mut self, unanswered: Duration) {
        self.unanswered.get_or_insert(unanswered);
    }

    /// The finding.
    pub(super) fn judge(&self, url: &Url) -> Finding {
        if let Some(unanswered) = self.unanswered {
            let found = format!(
                "the API is too slow to check all rules in time: no response for {:.1} s",
                unanswered.as_secs_f64()
            );
            return Finding::warning(checks::SPEED, found, next::slow(url));
        }
        let slowest = format!("the slowest response took {:.1} s", self.slowest.as_secs_f64());
        if self.slowest >= SLOW {
            return Finding::warning(checks::SPEED, format!("the API is slow: {slowest}"), next::slow(url));
        }
        Finding::ok(checks::SPEED, slowest)
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::Level;

    use super::*;

    #[test]
    fn a_slow_answer_or_none_in_time_is_a_warning() {
        let url: Url = "https://api.example/api".parse().unwrap();
        let mut stopwatch = Stopwatch::start(Duration::from_secs(50));
        stopwatch.answered(Duration::from_millis(300));
        assert_eq!(stopwatch.judge(&url).level, Level::Ok);
        stopwatch.answered(SLOW);
        stopwatch.answered(Duration::from_millis(300));
        assert_eq!(stopwatch.judge(&url).level, Level::Warning);
        let mut stopwatch = Stopwatch::start(Duration::from_secs(50));
        stopwatch.end(SLOW);
        stopwatch.end(Duration::ZERO);
        assert!(stopwatch.judge(&url).found.contains("5.0 s"));
        assert_eq!(stopwatch.judge(&url).level, Level::Warning);
    }
}
