//! Rates, and the time left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time over which a rate is measured. Pages arrive about once a second, so a shorter window would fluctuate.
const WINDOW: Duration = Duration::from_secs(15);

/// Units per second over the last 15 seconds.
#[derive(Debug, Default)]
pub struct RateMeter(VecDeque<(Instant, u64)>);

impl RateMeter {
    /// Records the current count and returns the rate.
    pub fn at(&mut self, at: Instant, count: u64) -> f64 {
        self.0.push_back((at, count));
        // One sample from before the window is kept, so that the window is covered.
        while self.0.get(1).is_some_and(|(then, _)| at.duration_since(*then) >= WINDOW) {
            self.0.pop_front();
        }
        let Some((then, before)) = self.0.front() else { return 0.0 };
        let seconds = at.duration_since(*then).as_secs_f64();
        if seconds > 0.0 { count.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

/// The seconds that `left` units take at a rate; `None` if the rate is zero.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub fn seconds_left(left: u64, rate: f64) -> Option<u64> {
    (rate > 0.0).then(|| (left as f64 / rate).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_covers_the_window() {
        let (start, mut rate) = (Instant::now(), RateMeter::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.at(at(0), 500), 0.0);
        assert_eq!(rate.at(at(10), 1_500), 100.0);
        assert_eq!(rate.at(at(15), 2_000), 100.0);
        assert_eq!(rate.at(at(30), 2_000), 0.0);
    }

    #[test]
    fn the_time_left_follows_from_the_rate() {
        assert_eq!((seconds_left(1_000, 3.0), seconds_left(1_000, 0.0)), (Some(333), None));
    }
}
