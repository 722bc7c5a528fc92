//! The slots of `--every`: at which times a crawl starts. Pure functions of the wall clock, so that tests need not wait.
//!
//! A slot is a multiple of the interval since 1970 in UTC. So slots don't depend on when a process was started, and there is no
//! daylight saving time. A crawl starts at its slot plus a delay that each process draws once.

use std::time::Duration;

use time::OffsetDateTime;

pub(crate) mod state;

/// The maximum time between two looks at the wall clock. A sleep is measured by the monotonic clock, which does not notice
/// that the wall clock was set, and stands still while the machine is suspended.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// When crawls start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    every: Duration,
    full_every: Option<Duration>,
    /// A crawl starts less than this too late, or its slot is missed. Half of the interval, because from then on the next slot
    /// is closer. So at most one late slot can still start.
    grace: Duration,
    /// How long after its slot a crawl starts, from 0 to the jitter, so at most half of the interval. With the grace this is at
    /// most one interval, so even a late crawl starts before the next slot and does not count as the crawl of that one.
    delay: Duration,
}

/// A time at which a crawl is due, without the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(OffsetDateTime);

impl Slot {
    /// The slot's time. A run that started at or after it is a run of this slot.
    pub(crate) const fn time(self) -> OffsetDateTime {
        self.0
    }
}

/// What to do at a moment while nothing is being crawled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read the clock again after this time, at the latest, because `slot` comes next.
    Wait { slot: Slot, wait: Duration },
    /// Crawl now; `missed` slots before this one are too late to start.
    Crawl { slot: Slot, missed: u64 },
    /// `missed` slots are too late to start. `slot` comes next.
    Missed { slot: Slot, missed: u64 },
}

impl Schedule {
    /// A schedule of crawls with these intervals: of all crawls, and of full ones. The jitter must be at most half of the
    /// interval. `drawn`, from 0 to 1, is the part of it that delays each crawl.
    pub(crate) fn new(every: Duration, full_every: Option<Duration>, jitter: Duration, drawn: f64) -> Self {
        let delay = jitter.mul_f64(drawn.clamp(0.0, 1.0)).min(jitter);
        Self { every, full_every, grace: every / 2, delay }
    }

    /// When the crawl of a slot starts.
    pub(crate) fn start(&self, slot: Slot) -> OffsetDateTime {
        slot.0 + self.delay
    }

    /// The first slot of a process that starts now: the current one while it can still start.
    pub(crate) fn first(&self, now: OffsetDateTime) -> Slot {
        self.next(now - self.grace)
    }

    /// The slot that comes next while a process crawls at its start. `started_at` is the start of that run, which may be an
    /// interrupted one that continues.
    pub(crate) fn during_first_crawl(&self, first: Slot, started_at: OffsetDateTime) -> Slot {
        if started_at >= first.0 { self.following(first) } else { first }
    }

    /// The first slot that starts later than now.
    pub(crate) fn next(&self, now: OffsetDateTime) -> Slot {
        Slot(floor(now - self.delay, self.every) + self.every)
    }

    /// The number of slots, from this one on, that are too late to start.
    pub(crate) fn missed(&self, from: Slot, now: OffsetDateTime) -> u64 {
        let late = nanoseconds(now - self.grace) - nanoseconds(self.start(from));
        let slots = late.div_euclid(self.nanoseconds()) + 1;
        u64::try_from(slots).unwrap_or_default()
    }

    /// The slot after the one that was crawled.
    pub(crate) fn following(&self, slot: Slot) -> Slot {
        self.after(slot, 1)
    }

    /// The time since which a full crawl must have started if the crawl of a slot is to be incremental. `None` if no crawl is to
    /// be incremental.
    pub(crate) fn full_since(&self, slot: Slot) -> Option<OffsetDateTime> {
        self.full_every.map(|full_every| floor(slot.0, full_every))
    }

    /// What to do now, if the crawl of `expected` comes next.
    pub(crate) fn next_step(&self, expected: Slot, now: OffsetDateTime) -> Next {
        // The clock was set back by more than an interval, so other slots come before this one.
        if self.start(expected) - now > self.every * 2 {
            return self.wait(self.next(now), now);
        }
        let missed = self.missed(expected, now);
        let slot = self.after(expected, missed);
        if self.start(slot) <= now {
            Next::Crawl { slot, missed }
        } else if missed > 0 {
            Next::Missed { slot, missed }
        } else {
            self.wait(slot, now)
        }
    }

    fn wait(&self, slot: Slot, now: OffsetDateTime) -> Next {
        Next::Wait { slot, wait: (self.start(slot) - now).unsigned_abs().min(LOOK_EVERY) }
    }

    fn after(&self, slot: Slot, slots: u64) -> Slot {
        let time = nanoseconds(slot.0) + self.nanoseconds() * i128::from(slots);
        Slot(OffsetDateTime::from_unix_timestamp_nanos(time).unwrap_or(slot.0))
    }

    fn nanoseconds(&self) -> i128 {
        i128::try_from(self.every.as_nanos()).unwrap_or(i128::MAX)
    }
}

const fn nanoseconds(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos()
}

/// The last multiple of `every` since 1970 until then.
fn floor(time: OffsetDateTime, every: Duration) -> OffsetDateTime {
    let passed = nanoseconds(time).rem_euclid(i128::try_from(every.as_nanos()).unwrap_or(i128::MAX));
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds(time) - passed).unwrap_or(time)
}

#[cfg(test)]
mod tests;
