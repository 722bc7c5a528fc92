//! One limiter for all lanes.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::{Instant, sleep, sleep_until};

use crate::cli::Rate;
use crate::discover::clock::RuntimeClock;

type Limiter =
    RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<<RuntimeClock as Clock>::Instant>>;

/// Lets requests pass at a rate, with a burst of one, and holds all of them back for as long as the API
/// asked for.
pub(crate) struct Throttle {
    limiter: Option<Limiter>,
    /// Held by the one lane that waits for the limiter: the others come after it in the order of arrival.
    turn: tokio::sync::Mutex<()>,
    paused_until: Mutex<Instant>,
}

impl Throttle {
    pub(crate) fn new(rate: Rate) -> Self {
        let limiter = match rate {
            Rate::Unlimited => None,
            Rate::PerSecond(rate) => Quota::with_period(Duration::from_secs_f64(1.0 / rate)).map(|quota| {
                RateLimiter::direct_with_clock(quota.allow_burst(NonZeroU32::MIN), RuntimeClock)
            }),
        };
        Self { limiter, turn: tokio::sync::Mutex::default(), paused_until: Mutex::new(Instant::now()) }
    }

    /// Waits until a request may be sent.
    pub(crate) async fn ready(&self) {
        let _turn = self.turn.lock().await;
        // The pause comes first: what the limiter lets pass must go out then, or two would go at once later.
        self.pause_passed().await;
        let Some(limiter) = &self.limiter else { return };
        while let Err(too_early) = limiter.check() {
            sleep(too_early.wait_time_from(RuntimeClock.now())).await;
            // Another lane may have been told to wait while this one stood in the queue.
            self.pause_passed().await;
        }
    }

    /// Holds every lane back for this long from now on.
    pub(crate) fn pause(&self, time: Duration) {
        // An end that no clock can tell is beyond every retry budget: who met it gives up, and the run ends.
        let Some(end) = Instant::now().checked_add(time) else { return };
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(end);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= period), "{times:?}");
            // It doesn't dawdle either: a timer of the runtime is a millisecond late at most.
            assert!(times[79] <= (period + Duration::from_millis(1)) * 79, "{times:?}");
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
