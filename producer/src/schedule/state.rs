//! What monitoring shows of a schedule.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::{LOOK_EVERY, Schedule, Slot};

/// Without a look at the clock for this much longer than planned, the schedule hangs.
const HANG_MARGIN: Duration = Duration::from_secs(60);

/// How the last crawls of a schedule ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crawls {
    pub(crate) complete: u64,
    pub(crate) failed: u64,
    /// Whether the last one failed; `None` before the first.
    pub(crate) last_failed: Option<bool>,
}

/// The state of a schedule. The loop of the crawls changes it, and monitoring reads it.
#[derive(Debug)]
pub(crate) struct ScheduleState {
    schedule: Schedule,
    inner: Mutex<Inner>,
}

#[derive(Clone, Copy, Debug)]
struct Inner {
    next: Slot,
    missed: u64,
    crawls: Crawls,
    /// When the wait was last looked at; none during a crawl, and until the first cursor was read.
    looked: Option<Instant>,
    is_crawling: bool,
    has_started: bool,
}

impl ScheduleState {
    pub(crate) const fn new(schedule: Schedule, next: Slot) -> Self {
        let crawls = Crawls { complete: 0, failed: 0, last_failed: None };
        let inner = Inner { next, missed: 0, crawls, looked: None, is_crawling: false, has_started: false };
        Self { schedule, inner: Mutex::new(inner) }
    }

    /// The loop waits for this slot.
    pub(crate) fn wait(&self, next: Slot) {
        let mut inner = self.inner();
        (inner.next, inner.looked) = (next, Some(Instant::now()));
        (inner.is_crawling, inner.has_started) = (false, true);
    }

    /// A crawl starts, and `next` is the slot after it.
    pub(crate) fn begin_crawl(&self, next: Slot) {
        let mut inner = self.inner();
        (inner.next, inner.looked, inner.is_crawling) = (next, None, true);
    }

    /// Slots were missed, and this one comes next. Both at once, because a counter must not go down.
    pub(crate) fn miss(&self, missed: u64, next: Slot) {
        let mut inner = self.inner();
        inner.missed += missed;
        (inner.next, inner.looked) = (next, Some(Instant::now()));
        (inner.is_crawling, inner.has_started) = (false, true);
    }

    /// A crawl has ended.
    pub(crate) fn end(&self, has_failed: bool) {
        let crawls = &mut self.inner().crawls;
        if has_failed {
            crawls.failed += 1
        } else {
            crawls.complete += 1
        }
        crawls.last_failed = Some(has_failed);
    }

    /// How the crawls ended.
    pub(crate) fn crawls(&self) -> Crawls {
        self.inner().crawls
    }

    /// Seconds until the next crawl starts; negative once it should have started.
    pub(crate) fn seconds_to_next(&self, now: OffsetDateTime) -> f64 {
        (self.schedule.start(self.inner().next) - now).as_seconds_f64()
    }

    /// The number of missed slots, including those that a running crawl has already missed.
    pub(crate) fn missed(&self, now: OffsetDateTime) -> u64 {
        let inner = *self.inner();
        inner.missed + if inner.is_crawling { self.schedule.missed(inner.next, now) } else { 0 }
    }

    /// When the next crawl starts, while the loop waits for it.
    pub(crate) fn waits_until(&self) -> Option<OffsetDateTime> {
        let inner = *self.inner();
        inner.looked.map(|_| self.schedule.start(inner.next))
    }

    /// Whether the loop has waited for a slot or crawled before.
    pub(crate) fn has_started(&self) -> bool {
        self.inner().has_started
    }

    /// For how long the loop has not looked at the clock although it should, if that is too long.
    pub(crate) fn hangs(&self, now: Instant) -> Option<Duration> {
        let idle = now.saturating_duration_since(self.inner().looked?);
        (idle >= LOOK_EVERY + HANG_MARGIN).then_some(idle)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const NOON: OffsetDateTime = datetime!(2026-03-29 12:00 UTC);

    fn state() -> (Schedule, ScheduleState) {
        let schedule = Schedule::new(HOUR, None, Duration::ZERO, 0.0);
        (schedule, ScheduleState::new(schedule, schedule.first(NOON)))
    }

    #[test]
    fn slots_that_a_running_crawl_misses_count_before_it_ends_and_only_once() {
        let (schedule, state) = state();
        // The slot at 13:00 is missed from 13:30 on, and the one at 14:00 can still start at 14:00.
        let (next, half, later) = (schedule.next(NOON), NOON + HOUR * 3 / 2, NOON + HOUR * 2);
        // The look at the first cursor may take long, but decides only then which slot comes first.
        assert_eq!(state.missed(later), 0);
        state.begin_crawl(next);
        let missed = [NOON + HOUR, half - MINUTE, half, later, half + HOUR].map(|now| state.missed(now));
        assert_eq!(missed, [0, 0, 1, 1, 2]);
        assert!(state.seconds_to_next(later) < 0.0 && state.waits_until().is_none());
        state.miss(2, schedule.next(later));
        assert_eq!((state.missed(later), state.missed(later + HOUR * 9)), (2, 2));
        assert_eq!(state.waits_until(), Some(later + HOUR));
        assert!((state.seconds_to_next(later) - 3600.0).abs() < 1e-6);
    }

    #[test]
    fn a_loop_that_no_longer_looks_at_the_clock_hangs_and_a_crawl_does_not() {
        let (schedule, state) = state();
        let later = Instant::now() + HOUR;
        assert_eq!(state.hangs(later), None);
        state.wait(schedule.next(NOON));
        assert!(state.hangs(later).is_some() && state.hangs(Instant::now()).is_none());
        state.begin_crawl(schedule.next(NOON));
        assert_eq!(state.hangs(later), None);
    }

    #[test]
    fn the_last_crawl_decides_whether_the_last_one_failed() {
        let (_, state) = state();
        assert_eq!(state.crawls().last_failed, None);
        state.end(true);
        state.end(false);
        assert_eq!(state.crawls(), Crawls { complete: 1, failed: 1, last_failed: Some(false) });
    }
}
