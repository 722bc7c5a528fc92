//! Throttles the polling thread while the loop does not take the chunks.

use std::time::{Duration, Instant};

/// The bytes of untaken chunks at which the thread starts to wait, and at which it resumes.
const FULL_BYTES: usize = 4 * 1024 * 1024;
const ROOM_BYTES: usize = FULL_BYTES / 2;
/// How long the thread waits before it pauses all partitions. A pause discards what librdkafka has fetched ahead, so short
/// waits are cheaper.
pub(super) const WAIT: Duration = Duration::from_secs(1);

/// The next action of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Poll,
    /// Wait for room, without polling.
    Wait,
}

/// Whether the loop is behind.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    full_since: Option<Instant>,
    paused: bool,
}

impl Throttle {
    /// The next action, with this many bytes of untaken chunks.
    pub(super) fn pace(&mut self, untaken: usize, now: Instant) -> Pace {
        if self.paused {
            self.paused = untaken > ROOM_BYTES;
            return Pace::Poll;
        }
        if untaken < FULL_BYTES {
            self.full_since = None;
            return Pace::Poll;
        }
        let since = *self.full_since.get_or_insert(now);
        if now.duration_since(since) < WAIT {
            return Pace::Wait;
        }
        (self.full_since, self.paused) = (None, true);
        Pace::Poll
    }

    /// Whether all partitions must be paused.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_is_waited_for_and_then_polled_on_with_partitions_paused() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.pace(FULL_BYTES - 1, start), Pace::Poll);
        assert_eq!(throttle.pace(FULL_BYTES, start), Pace::Wait);
        assert!(!throttle.is_paused());
        assert_eq!(throttle.pace(FULL_BYTES, start + WAIT), Pace::Poll);
        assert!(throttle.is_paused());
        assert_eq!(throttle.pace(ROOM_BYTES + 1, start + 2 * WAIT), Pace::Poll);
        assert!(throttle.is_paused());
        throttle.pace(ROOM_BYTES, start + 2 * WAIT);
        assert!(!throttle.is_paused());
    }

    #[test]
    fn a_wait_that_ends_in_time_pauses_nothing() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.pace(FULL_BYTES, start), Pace::Wait);
        assert_eq!(throttle.pace(FULL_BYTES - 1, start + WAIT / 2), Pace::Poll);
        assert_eq!(throttle.pace(FULL_BYTES, start + WAIT), Pace::Wait);
        assert!(!throttle.is_paused());
    }
}
