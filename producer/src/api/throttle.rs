//! One limiter for all lanes.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{self, Duration};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep_until};

use crate::api::clock::RuntimeClock;
use crate::config::Rate;
use crate::progress::counters::Waited;

type Limiter = RateLimiter<NotKeyed, InMemoryState, SlotClock, NoOpMiddleware<time::Instant>>;

/// How late a request may go out and still count as on time, and the share of the time between two requests
/// that this may be at most. Timers are late by a millisecond, and on a busy machine by some more; were each
/// request timed from the one before as it went, all that would add up.
const LATE: Duration = Duration::from_millis(20);
const LATE_SHARE: u32 = 2;

/// Lets requests pass at a rate, with a burst of one, and holds all of them back for as long as the API
/// asked for.
pub(crate) struct Throttle {
    limiter: Option<Limiter>,
    clock: SlotClock,
    /// Held by the one lane that waits for the limiter: the others come after it in the order of arrival.
    turn: tokio::sync::Mutex<()>,
    pauses: Mutex<Pauses>,
}

impl Throttle {
    pub(crate) fn new(rate: Rate) -> Self {
        let period = match rate {
            Rate::Unlimited => Duration::ZERO,
            Rate::PerSecond(rate) => Duration::from_secs_f64(1.0 / rate),
        };
        let clock = SlotClock { late: LATE.min(period / LATE_SHARE), slot: Arc::default() };
        let limiter = Quota::with_period(period)
            .map(|quota| RateLimiter::direct_with_clock(quota.allow_burst(NonZeroU32::MIN), clock.clone()));
        let pauses = Pauses { until: Instant::now(), total: Duration::ZERO };
        Self { limiter, clock, turn: tokio::sync::Mutex::default(), pauses: Mutex::new(pauses) }
    }

    /// Waits until a request may be sent; tells for what it did so, and how long.
    pub(crate) async fn ready(&self) -> Waited {
        let (asked, paused_before) = (Instant::now(), self.pauses().passed());
        self.pass().await;
        let paused = self.pauses().passed().saturating_sub(paused_before);
        let limiter = self.limiter.as_ref().map(|_| asked.elapsed().saturating_sub(paused));
        Waited { limiter: limiter.unwrap_or_default(), paused }
    }

    async fn pass(&self) {
        let _turn = self.turn.lock().await;
        // The pause comes first: what the limiter lets pass must go out then, or two would go at once later.
        self.pause_passed().await;
        let Some(limiter) = &self.limiter else { return };
        while let Err(too_early) = limiter.check() {
            let slot = too_early.earliest_possible();
            sleep_until(slot.into()).await;
            // Another lane may have been told to wait while this one stood in the queue.
            self.pause_passed().await;
            self.clock.reached(slot);
        }
    }

    /// Holds every lane back for this long from now on.
    pub(crate) fn pause(&self, time: Duration) {
        // An end that no clock can tell is beyond every retry budget: who met it gives up, and the run ends.
        let Some(end) = Instant::now().checked_add(time) else { return };
        self.pauses().last_until(end);
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pause_passed(&self) {
        loop {
            let until = self.pauses().until;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// The time in which no lane may send anything.
struct Pauses {
    /// The end of the last pause.
    until: Instant,
    /// How long all pauses take together.
    total: Duration,
}

impl Pauses {
    fn last_until(&mut self, end: Instant) {
        self.total += end.saturating_duration_since(self.until.max(Instant::now()));
        self.until = self.until.max(end);
    }

    /// How much of the pauses is over.
    fn passed(&self) -> Duration {
        self.total.saturating_sub(self.until.saturating_duration_since(Instant::now()))
    }
}

/// The limiter's clock: the runtime's, but for a request that has just waited for its slot. If it is hardly
/// late the slot is the time, and so the next one is where it would be had nobody been late.
#[derive(Clone)]
struct SlotClock {
    late: Duration,
    slot: Arc<Mutex<Option<time::Instant>>>,
}

impl SlotClock {
    fn reached(&self, slot: time::Instant) {
        let is_on_time = RuntimeClock.now().saturating_duration_since(slot) <= self.late;
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

    /// When `requests` of each of `lanes` may be sent, in order, since the start.
    async fn sent(throttle: &Arc<Throttle>, lanes: usize, requests: usize) -> Vec<Duration> {
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..lanes {
            let throttle = Arc::clone(throttle);
            tasks.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..requests {
                    throttle.ready().await;
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
    async fn lanes_share_the_rate_and_only_one_request_goes_at_once() {
        for rate in [0.4, 2.0, 30.0] {
            let period = Duration::from_secs_f64(1.0 / rate);
            let times = sent(&Arc::new(Throttle::new(Rate::PerSecond(rate))), 4, 20).await;
            assert_eq!(times[0], Duration::ZERO);
            // A timer of the runtime is a millisecond late at most, and so is each request: it doesn't add up.
            let due = (0..).map(|slot| period * slot);
            let late: Vec<_> = times.iter().zip(due).map(|(time, due)| time.checked_sub(due)).collect();
            let most = Some(Duration::from_millis(1));
            assert!(late.iter().all(|late| late.is_some() && *late <= most), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_time_saves_nothing_up() {
        let throttle = Arc::new(Throttle::new(Rate::PerSecond(10.0)));
        sent(&throttle, 1, 1).await;
        sleep(Duration::from_secs(60)).await;
        let times = sent(&throttle, 3, 2).await;
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(100)), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_every_lane_and_the_longest_counts() {
        for rate in [Rate::Unlimited, Rate::PerSecond(2.0)] {
            let throttle = Arc::new(Throttle::new(rate));
            throttle.pause(Duration::from_secs(30));
            throttle.pause(Duration::from_secs(5));
            let times = sent(&throttle, 3, 1).await;
            assert!(times.iter().all(|time| *time >= Duration::from_secs(30)), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_waited_for_is_told_apart() {
        let second = Duration::from_secs(1);
        let throttle = Throttle::new(Rate::PerSecond(1.0));
        throttle.ready().await;
        assert_eq!(throttle.ready().await, Waited { limiter: second, paused: Duration::ZERO });
        throttle.pause(30 * second);
        // Of two that wait at once the second one waits for the pause too.
        let both = tokio::join!(throttle.ready(), throttle.ready());
        let paused = 30 * second;
        assert_eq!(both.0, Waited { limiter: Duration::ZERO, paused });
        assert_eq!(both.1, Waited { limiter: second, paused });

        let unlimited = Throttle::new(Rate::Unlimited);
        unlimited.pause(30 * second);
        unlimited.pause(5 * second);
        assert_eq!(unlimited.ready().await, Waited { limiter: Duration::ZERO, paused });
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_far_too_late_does_not_catch_up() {
        let clock = SlotClock { late: LATE, slot: Arc::default() };
        let slot = RuntimeClock.now();
        for (late, counts) in [(Duration::ZERO, true), (LATE, true), (LATE * 2, false)] {
            let now = slot + late;
            tokio::time::advance(now - RuntimeClock.now()).await;
            clock.reached(slot);
            assert_eq!(clock.now() == slot, counts, "{late:?}");
            assert_eq!(clock.now(), now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_in_the_queue_heeds_a_pause_that_comes_meanwhile() {
        let throttle = Arc::new(Throttle::new(Rate::PerSecond(1.0)));
        let pause = async {
            sleep(Duration::from_millis(2_500)).await;
            throttle.pause(Duration::from_secs(60));
        };
        let (times, ()) = tokio::join!(sent(&throttle, 2, 3), pause);
        assert_eq!(
            times.iter().filter(|time| **time < Duration::from_millis(62_500)).count(),
            3,
            "{times:?}"
        );
        assert!(times[4] - times[3] >= Duration::from_secs(1), "{times:?}");
    }
}
