//! What monitoring shows of a crawl: metrics, and whether it makes progress.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::log_writer::lost_lines;
use catalog_shared::monitoring::{self, Monitored, MonitoringArgs, Report, names};
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::shutdown::CancellationToken;
use metrics::{counter, gauge};
use serde_json::json;
use tokio_util::sync::DropGuard;

use crate::progress::counters::{Cause, Counters};

/// A handle to the state that is shown. Clones share it.
#[derive(Clone)]
pub(crate) struct Monitor {
    region: Region,
    counters: Arc<Counters>,
    /// The share of the id space that is covered, once the region is claimed.
    covered: Arc<Mutex<Option<f64>>>,
    /// A crawl without an answer of the API for this long hangs.
    stall_timeout: Duration,
    shutdown: CancellationToken,
}

impl Monitor {
    /// The state of a crawl that is starting. It hangs if nothing happens for `stall_timeout`.
    pub(crate) fn new(
        region: Region,
        counters: &Arc<Counters>,
        stall_timeout: Duration,
        shutdown: &CancellationToken,
    ) -> Self {
        let (counters, shutdown) = (Arc::clone(counters), shutdown.clone());
        Self { region, counters, covered: Arc::default(), stall_timeout, shutdown }
    }

    /// Starts monitoring. It ends when the guard is dropped.
    ///
    /// # Errors
    /// If the address of `--metrics-addr` is not available.
    pub(crate) fn start(&self, args: &MonitoringArgs) -> anyhow::Result<Option<DropGuard>> {
        let guard = monitoring::start(args, Arc::new(self.clone()), self.shutdown.clone())?;
        create(self.region);
        Ok(guard)
    }

    /// Updates the share of the id space that is covered, 0 to 1. From its first call on the crawl counts as ready.
    pub(crate) fn set_covered(&self, share: f64) {
        *self.covered() = Some(share);
    }

    fn covered(&self) -> MutexGuard<'_, Option<f64>> {
        self.covered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nothing has happened, if that is too long. A transaction waits for Kafka without limit, and so does the
    /// start.
    fn stalled(&self, now: Instant) -> Option<Duration> {
        if self.covered().is_none() || self.counters.publishing().is_some() {
            return None;
        }
        let idle = now.saturating_duration_since(self.counters.active()?);
        (idle >= self.stall_timeout).then_some(idle)
    }
}

impl Monitored for Monitor {
    fn health(&self) -> Report {
        let now = Instant::now();
        let stalled = self.stalled(now);
        let summary = match stalled {
            Some(idle) => format!("the crawl has had no answer for {} s", idle.as_secs()),
            None => "healthy".to_owned(),
        };
        let problems: Vec<&str> = stalled.iter().map(|_| summary.as_str()).collect();
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let body = json!({
            "status": if problems.is_empty() { "healthy" } else { "unhealthy" },
            "problems": problems,
            "seconds_in_transaction": self.counters.publishing().map(seconds),
            "seconds_since_last_answer": self.counters.active().map(seconds),
        });
        Report { is_ok: stalled.is_none(), summary, body }
    }

    fn readiness(&self) -> Report {
        let is_ok = !self.shutdown.is_cancelled() && self.covered().is_some();
        let summary = match (self.shutdown.is_cancelled(), is_ok) {
            (true, _) => "shutting down",
            (false, true) => "crawling",
            (false, false) => "waiting for Kafka, or checking the API and the cursor",
        };
        let status = if is_ok { "ready" } else { "not_ready" };
        let body = json!({ "status": status, "reason": summary });
        Report { is_ok, summary: summary.to_owned(), body }
    }

    fn record(&self) {
        let region = || self.region.name();
        for (failure, count) in self.counters.outcomes() {
            let outcome = failure.map_or("ok".to_owned(), label);
            counter!(names::PRODUCER_REQUESTS, "region" => region(), "outcome" => outcome).absolute(count);
        }
        counter!(names::PRODUCER_BYTES, "region" => region()).absolute(self.counters.bytes());
        let waits = self.counters.waits();
        let kafka = self.counters.waited_for_kafka();
        for (cause, waited) in [("rate_limit", waits.limiter), ("retry", waits.paused), ("kafka", kafka)] {
            counter!(names::PRODUCER_WAIT, "region" => region(), "cause" => cause).absolute(waited.as_secs());
        }
        if let Some(covered) = *self.covered() {
            gauge!(names::PRODUCER_COVERED, "region" => region()).set(covered);
        }
        counter!(names::PRODUCER_LOG_LINES_DROPPED).absolute(lost_lines());
    }
}

fn label(cause: Cause) -> String {
    cause.name().replace(' ', "_")
}

/// Creates the counters with 0, so that the first event counts as an increase.
fn create(region: Region) {
    counter!(names::PRODUCER_PAGES, "region" => region.name()).increment(0);
    for kind in RecordType::ALL {
        count_objects(region, kind.name(), 0);
    }
    for outcome in ["committed", "failed"] {
        counter!(names::PRODUCER_TRANSACTIONS, "region" => region.name(), "outcome" => outcome).increment(0);
    }
}

/// Counts published records of a type.
pub(crate) fn count_objects(region: Region, kind: &'static str, count: u64) {
    counter!(names::PRODUCER_OBJECTS, "region" => region.name(), "kind" => kind).increment(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> Monitor {
        Monitor::new(Region::Us, &Arc::default(), Duration::from_secs(100), &CancellationToken::new())
    }

    #[test]
    fn a_crawl_without_an_answer_for_too_long_is_stalled_unless_it_waits_for_kafka() {
        let monitor = monitor();
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        monitor.counters.note_activity();
        // The region is not claimed yet.
        assert_eq!(monitor.stalled(later(1_000)), None);
        monitor.set_covered(0.0);
        assert_eq!(monitor.stalled(later(99)), None);
        assert!(monitor.stalled(later(101)).is_some());
        monitor.counters.set_publishing(true);
        assert_eq!(monitor.stalled(later(1_000)), None);
        monitor.counters.set_publishing(false);
        assert!(monitor.stalled(later(101)).is_some());
    }

    #[test]
    fn a_crawl_is_ready_from_its_claim_to_the_signal() {
        let monitor = monitor();
        assert!(!monitor.readiness().is_ok);
        monitor.set_covered(0.0);
        assert!(monitor.readiness().is_ok);
        monitor.shutdown.cancel();
        assert!(!monitor.readiness().is_ok);
    }
}
