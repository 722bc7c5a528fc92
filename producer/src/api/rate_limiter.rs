//! The rate limiter of all lanes.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{self, Duration};

use governor::Quota;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use tokio::time::{Instant, sleep_until};

use crate::api::clock::RuntimeClock;
use crate::config::RateLimit;
use crate::progress::counters::Waited;

type Limiter = governor::RateLimiter<NotKeyed, InMemoryState, SlotClock, NoOpMiddleware<time::Instant>>;

/// How late a request may be sent and still count as on time, and the inverse of the largest share of the period between
/// two requests that this may be. Timers are late by a millisecond, and more on a busy machine. If each request were timed
/// from the previous one, the delays would add up.
const TOLERANCE: Duration = Duration::from_millis(20);
const PERIOD_DIVISOR: u32 = 2;

/// Limits the rate of requests, with a burst of one, and pauses all of them for as long as the API asks.
pub(crate) struct RateLimiter {
    limiter: Option<Limiter>,
    clock: SlotClock,
    /// Locked by the lane that waits for the limiter. The others queue in order of arrival.
    queue: tokio::sync::Mutex<()>,
    pauses: Mutex<Pauses>,
}

impl RateLimiter {
    pub(crate) fn new(rate: RateLimit) -> Self {
        let period = rate.period();
        let clock = SlotClock { tolerance: TOLERANCE.min(period / PERIOD_DIVISOR), slot: Arc::default() };
        let limiter = Quota::with_period(period).map(|quota| {
            governor::RateLimiter::direct_with_clock(quota.allow_burst(NonZeroU32::MIN), clock.clone())
        });
        let pauses = Pauses { until: Instant::now(), total: Duration::ZERO };
        Self { limiter, clock, queue: tokio::sync::Mutex::default(), pauses: Mutex::new(pauses) }
    }

    /// Waits until a request may be sent. Returns the waits by reason.
    pub(crate) async fn ready(&self) -> Waited {
        let (start, paused_before) = (Instant::now(), self.pauses().elapsed());
        self.wait().await;
        let paused = self.pauses().elapsed().saturating_sub(paused_before);
        let limiter = self.limiter.as_ref().map(|_| start.elapsed().saturating_sub(paused));
        Waited { limiter: limiter.unwrap_or_default(), paused }
    }

    async fn wait(&self) {
        let _queue = self.queue.lock().await;
        // The pause comes first: a request that passed the limiter must be sent at once, or two would be sent together later.
        self.wait_for_pause().await;
        let Some(limiter) = &self.limiter else { return };
        while let Err(too_early) = limiter.check() {
            let slot = too_early.earliest_possible();
            sleep_until(slot.into()).await;
            // A pause may have started while this lane was queued.
            self.wait_for_pause().await;
            self.clock.reached(slot);
        }
    }

    /// Pauses all lanes for this long from now on.
    pub(crate) fn pause(&self, time: Duration) {
        // An end that the clock can't represent exceeds any retry budget, so that the request fails and the run ends.
        let Some(end) = Instant::now().checked_add(time) else { return };
        self.pauses().extend_to(end);
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_for_pause(&self) {
        loop {
            let until = self.pauses().until;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// The times in which no lane may send a request.
struct Pauses {
    /// The end of the last pause.
    until: Instant,
    /// The total duration of all pauses.
    total: Duration,
}

impl Pauses {
    fn extend_to(&mut self, end: Instant) {
        self.total += end.saturating_duration_since(self.until.max(Instant::now()));
        self.until = self.until.max(end);
    }

    /// The elapsed part of the pauses.
    fn elapsed(&self) -> Duration {
        self.total.saturating_sub(self.until.saturating_duration_since(Instant::now()))
    }
}

/// The limiter's clock: that of the runtime, except for a request that has just waited for its slot. If it is on time
/// within the tolerance, the clock shows the slot, so that the next slot is not delayed.
#[derive(Clone)]
struct SlotClock {
    tolerance: Duration,
    slot: Arc<Mutex<Option<time::Instant>>>,
}

impl SlotClock {
    fn reached(&self, slot: time::Instant) {
        let is_on_time = RuntimeClock.now().saturating_duration_since(slot) <= self.tolerance;
        *self.slot() = is_on_time.then_some(slot);
    }

    fn slot(&self) -> MutexGuard<'_, Option<time::Instant>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SlotClock {
    type Instant = time::Instant;

    fn now(&self) -> time::Instant {
        self.slot().take().unwrap_or_else(|| RuntimeClock.now())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// When the `requests` of each of `lanes` are sent, in order, since the start.
    async fn sent(limiter: &Arc<RateLimiter>, lanes: usize, requests: usize) -> Vec<Duration> {
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..lanes {
            let limiter = Arc::clone(limiter);
            tasks.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..requests {
                    limiter.ready().await;
                    times.push(start.elapsed());
                }
                times
            });
        }
        let mut times = tasks.join_all().await.concat();
        times.sort();
        times
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_share_the_rate_without_bursts() {
        for rate in [0.4, 2.0, 30.0] {
            let period = Duration::from_secs_f64(1.0 / rate);
            let times = sent(&Arc::new(RateLimiter::new(RateLimit::PerSecond(rate))), 4, 20).await;
            assert_eq!(times[0], Duration::ZERO);
            // A timer of the runtime is at most a millisecond late, and so is each request: delays don't add up.
            let due = (0..).map(|slot| period * slot);
            let late: Vec<_> = times.iter().zip(due).map(|(time, due)| time.checked_sub(due)).collect();
            let most = Some(Duration::from_millis(1));
            assert!(late.iter().all(|late| late.is_some() && *late <= most), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_does_not_accumulate() {
        let limiter = Arc::new(RateLimiter::new(RateLimit::PerSecond(10.0)));
        sent(&limiter, 1, 1).await;
        sleep(Duration::from_secs(60)).await;
        let times = sent(&limiter, 3, 2).await;
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(100)), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_applies_to_all_lanes_and_the_longest_counts() {
        for rate in [RateLimit::Unlimited, RateLimit::PerSecond(2.0)] {
            let limiter = Arc::new(RateLimiter::new(rate));
            limiter.pause(Duration::from_secs(30));
            limiter.pause(Duration::from_secs(5));
            let times = sent(&limiter, 3, 1).await;
            assert!(times.iter().all(|time| *time >= Duration::from_secs(30)), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_measured_by_reason() {
        let second = Duration::from_secs(1);
        let limiter = RateLimiter::new(RateLimit::PerSecond(1.0));
        limiter.ready().await;
        assert_eq!(limiter.ready().await, Waited { limiter: second, paused: Duration::ZERO });
        limiter.pause(30 * second);
        // Of two concurrent requests, the second one waits for the pause and for the limiter.
        let both = tokio::join!(limiter.ready(), limiter.ready());
        let paused = 30 * second;
        assert_eq!(both.0, Waited { limiter: Duration::ZERO, paused });
        assert_eq!(both.1, Waited { limiter: second, paused });

        let unlimited = RateLimiter::new(RateLimit::Unlimited);
        unlimited.pause(30 * second);
        unlimited.pause(5 * second);
        assert_eq!(unlimited.ready().await, Waited { limiter: Duration::ZERO, paused });
    }

    #[tokio::test(start_paused = true)]
    async fn a_very_late_request_does_not_catch_up() {
        let clock = SlotClock { tolerance: TOLERANCE, slot: Arc::default() };
        let slot = RuntimeClock.now();
        for (late, counts) in [(Duration::ZERO, true), (TOLERANCE, true), (TOLERANCE * 2, false)] {
            let now = slot + late;
            tokio::time::advance(now - RuntimeClock.now()).await;
            clock.reached(slot);
            assert_eq!(clock.now() == slot, counts, "{late:?}");
            assert_eq!(clock.now(), now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queued_lane_waits_for_a_pause_that_starts_meanwhile() {
        let limiter = Arc::new(RateLimiter::new(RateLimit::PerSecond(1.0)));
        let pause = async {
            sleep(Duration::from_millis(2_500)).await;
            limiter.pause(Duration::from_secs(60));
        };
        let (times, ()) = tokio::join!(sent(&limiter, 2, 3), pause);
        assert_eq!(
            times.iter().filter(|time| **time < Duration::from_millis(62_500)).count(),
            3,
            "{times:?}"
        );
        assert!(times[4] - times[3] >= Duration::from_secs(1), "{times:?}");
    }
}
