//! The timeouts of the requests that look for a broker.

use std::time::{Duration, Instant};

/// The timeout of the first metadata request. It is short because events of the client are only seen between two requests. It
/// doubles with each further one, because a slow broker would otherwise never answer in time.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(200);
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The factor from one probe to the next. Unanswered requests of a connection delay each other, so a slow broker needs few.
const FACTOR_PER_PROBE: u32 = 5;

/// The timeouts of the requests of a probe, or of several in a row.
#[derive(Clone, Copy)]
pub(super) struct RequestTimeouts {
    first: Duration,
    next: Duration,
}

impl Default for RequestTimeouts {
    fn default() -> Self {
        Self { first: REQUEST_TIMEOUT, next: REQUEST_TIMEOUT }
    }
}

impl RequestTimeouts {
    /// Those of the probe after one that found no broker.
    pub(super) fn of_next_probe(self) -> Self {
        let first = (self.first * FACTOR_PER_PROBE).min(MAX_REQUEST_TIMEOUT);
        Self { first, next: first }
    }

    /// That of the next request, within a probe that ends at `end`.
    pub(super) fn next(&mut self, end: Instant) -> Duration {
        let left = end.saturating_duration_since(Instant::now());
        let next = self.next.min(left.max(REQUEST_TIMEOUT));
        self.next = (self.next * 2).min(MAX_REQUEST_TIMEOUT);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeouts_of_requests_grow_and_end_with_the_probe() {
        let mut timeouts = RequestTimeouts::default();
        let hour = Instant::now() + Duration::from_secs(3600);
        let millis = [(); 7].map(|()| timeouts.next(hour).as_millis());
        assert_eq!(millis, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(timeouts.next(Instant::now()), REQUEST_TIMEOUT);
        let later = [(); 3].map(|()| {
            timeouts = timeouts.of_next_probe();
            timeouts.next(hour).as_millis()
        });
        assert_eq!(later, [1_000, 5_000, 5_000]);
    }
}
