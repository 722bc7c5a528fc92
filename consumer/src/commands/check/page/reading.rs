//! A value that is refreshed periodically, with its last error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// A reading that is older than this is shown with its time, and counts as unknown.
const OUTDATED: Duration = Duration::from_secs(20);

/// A moment by both clocks: one measures, and the other is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) clock: OffsetDateTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { instant: Instant::now(), clock: OffsetDateTime::now_utc() }
    }
}

/// The last success, and the failures since then.
#[derive(Debug)]
pub(super) struct Reading<T> {
    last: Option<(Moment, Arc<T>)>,
    /// The first failure since the last success, and the last error.
    failed: Option<(OffsetDateTime, String)>,
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self { last: None, failed: None }
    }
}

impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        Self { last: self.last.clone(), failed: self.failed.clone() }
    }
}

/// What is known, and why it is not current.
#[derive(Debug)]
pub(super) struct Known<T> {
    /// What was last read, and when.
    pub(super) last: Option<(OffsetDateTime, Arc<T>)>,
    /// `None` if that is current.
    pub(super) gap: Option<Gap>,
}

/// Why something is unknown, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) since: OffsetDateTime,
    pub(super) why: String,
    /// Whether an attempt has failed. Otherwise the reading has only not ended yet.
    pub(super) has_failed: bool,
}

impl<T> Reading<T> {
    /// Records the result of an attempt.
    pub(super) fn record(&mut self, result: Result<T, String>, now: Moment) {
        match result {
            Ok(value) => *self = Self { last: Some((now, Arc::new(value))), failed: None },
            Err(error) => {
                let since = self.failed.take().map_or(now.clock, |(since, _)| since);
                self.failed = Some((since, error));
            }
        }
    }

    /// What is known now. `missing` explains why there may be no reading since `started_at`, and no error either.
    pub(super) fn known(&self, now: &Moment, started_at: OffsetDateTime, missing: &str) -> Known<T> {
        let last = self.last.as_ref().map(|(at, value)| (at.clock, Arc::clone(value)));
        let failed = self.failed.clone().map(|(since, why)| Gap { since, why, has_failed: true });
        let is_current = |(at, _): &(Moment, _)| now.instant.saturating_duration_since(at.instant) < OUTDATED;
        let gap = failed.or_else(|| {
            let since = last.as_ref().map_or(started_at, |(at, _)| *at);
            (!self.last.as_ref().is_some_and(is_current)).then(|| Gap {
                since,
                why: missing.to_owned(),
                has_failed: false,
            })
        });
        Known { last, gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_the_last_success_and_the_time_of_the_first_failure() {
        let start = Moment::now();
        let at = |seconds| Moment {
            instant: start.instant + Duration::from_secs(seconds),
            clock: start.clock + Duration::from_secs(seconds),
        };
        let mut reading = Reading::default();
        let known = |reading: &Reading<u8>, seconds| {
            let Known { last, gap } = reading.known(&at(seconds), start.clock, "not read");
            let since = |clock: OffsetDateTime| (clock - start.clock).whole_seconds();
            (last.map(|(read, value)| (since(read), *value)), gap.map(|gap| (since(gap.since), gap.why)))
        };
        assert_eq!(known(&reading, 5), (None, Some((0, "not read".to_owned()))));
        reading.record(Ok(7), at(10));
        assert_eq!(known(&reading, 29), (Some((10, 7)), None));
        assert_eq!(known(&reading, 30), (Some((10, 7)), Some((10, "not read".to_owned()))));
        reading.record(Err("refused".to_owned()), at(31));
        reading.record(Err("reset".to_owned()), at(40));
        assert_eq!(known(&reading, 41), (Some((10, 7)), Some((31, "reset".to_owned()))));
        reading.record(Ok(8), at(50));
        assert_eq!(known(&reading, 51), (Some((50, 8)), None));
    }
}
