//! What monitoring shows of a crawl: metrics, and whether it makes progress.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::log_writer::lost_lines;
use catalog_shared::monitoring::{self, HealthResponse, Monitored, MonitoringArgs, RunningMonitor, names};
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::shutdown::CancellationToken;
use metrics::{counter, gauge};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::progress::counters::{Counters, RequestFailure, Waited};
use crate::schedule::state::ScheduleState;

/// A handle to the state that is shown. Clones share it.
#[derive(Clone)]
pub(crate) struct Monitor {
    region: Region,
    crawl: Arc<Mutex<CrawlProgress>>,
    /// The schedule of a process that crawls repeatedly.
    schedule: Option<Arc<ScheduleState>>,
    /// A crawl that has received nothing from the API for this long hangs.
    stall_timeout: Duration,
    shutdown: CancellationToken,
}

/// The current crawl of the process, and the sums of those before it.
#[derive(Default)]
struct CrawlProgress {
    counters: Arc<Counters>,
    /// The share of the id space that is covered, once the region is claimed.
    covered: Option<f64>,
    earlier: Totals,
}

/// What a process counts over all its crawls.
#[derive(Clone, Default)]
struct Totals {
    outcomes: BTreeMap<Option<RequestFailure>, u64>,
    bytes: u64,
    waits: Waited,
    waited_for_kafka: Duration,
}

impl Totals {
    /// With the counts of another crawl.
    fn with(mut self, counters: &Counters) -> Self {
        for (outcome, count) in counters.outcomes() {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.bytes += counters.bytes();
        self.waits.limiter += counters.waits().limiter;
        self.waits.paused += counters.waits().paused;
        self.waited_for_kafka += counters.waited_for_kafka();
        self
    }
}

impl Monitor {
    /// The state of a process that is starting. A crawl hangs if nothing happens for `stall_timeout`.
    pub(crate) fn new(region: Region, stall_timeout: Duration, shutdown: &CancellationToken) -> Self {
        Self { region, crawl: Arc::default(), schedule: None, stall_timeout, shutdown: shutdown.clone() }
    }

    /// Shows this schedule, too.
    pub(crate) fn with_schedule(self, schedule: Arc<ScheduleState>) -> Self {
        Self { schedule: Some(schedule), ..self }
    }

    /// Starts monitoring. It ends when the result is dropped.
    ///
    /// # Errors
    /// If the address of `--metrics-addr` is not available.
    pub(crate) fn start(&self, args: &MonitoringArgs) -> anyhow::Result<Option<RunningMonitor>> {
        let guard = monitoring::start(args, Arc::new(self.clone()), self.shutdown.clone())?;
        create(self.region);
        Ok(guard)
    }

    /// A crawl starts, with these counters.
    pub(crate) fn begin_crawl(&self, counters: &Arc<Counters>) {
        let mut crawl = self.crawl();
        crawl.earlier = std::mem::take(&mut crawl.earlier).with(&crawl.counters);
        (crawl.counters, crawl.covered) = (Arc::clone(counters), None);
    }

    /// The crawl has ended.
    pub(crate) fn end_crawl(&self) {
        self.crawl().covered = None;
    }

    /// Updates the share of the id space that is covered, 0 to 1. From its first call on the crawl counts as ready.
    pub(crate) fn set_covered(&self, share: f64) {
        self.crawl().covered = Some(share);
    }

    fn crawl(&self) -> MutexGuard<'_, CrawlProgress> {
        self.crawl.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next scheduled crawl starts, while the process waits for it.
    fn waits_until(&self) -> Option<String> {
        self.schedule.as_ref()?.waits_until()?.format(&Rfc3339).ok()
    }

    /// What makes no progress, if anything. A transaction waits for Kafka without limit, and so does the start.
    fn problem(&self, now: Instant) -> Option<String> {
        if let Some(idle) = self.schedule.as_ref().and_then(|schedule| schedule.hangs(now)) {
            return Some(format!("the schedule has not looked at the clock for {} s", idle.as_secs()));
        }
        let crawl = self.crawl();
        if crawl.covered.is_none() || crawl.counters.publishing().is_some() {
            return None;
        }
        let idle = now.saturating_duration_since(crawl.counters.active()?);
        (idle >= self.stall_timeout)
            .then(|| format!("the crawl has had no response for {} s", idle.as_secs()))
    }

    /// Records the metrics of a schedule.
    fn record_schedule(&self, schedule: &ScheduleState) {
        let (region, now, crawls) = (|| self.region.name(), OffsetDateTime::now_utc(), schedule.crawls());
        gauge!(names::PRODUCER_NEXT_SLOT, "region" => region()).set(schedule.seconds_to_next(now));
        counter!(names::PRODUCER_MISSED_SLOTS, "region" => region()).absolute(schedule.missed(now));
        for (outcome, count) in [("complete", crawls.complete), ("failed", crawls.failed)] {
            counter!(names::PRODUCER_CRAWLS, "region" => region(), "outcome" => outcome).absolute(count);
        }
        let has_failed = crawls.last_failed == Some(true);
        gauge!(names::PRODUCER_LAST_CRAWL_FAILED, "region" => region()).set(f64::from(u8::from(has_failed)));
    }
}

impl Monitored for Monitor {
    fn health(&self) -> HealthResponse {
        let now = Instant::now();
        let problem = self.problem(now);
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let counters = Arc::clone(&self.crawl().counters);
        let mut body = json!({
            "status": if problem.is_none() { "healthy" } else { "unhealthy" },
            "problems": problem.iter().collect::<Vec<_>>(),
            "seconds_in_transaction": counters.publishing().map(seconds),
            "seconds_since_last_answer": counters.active().map(seconds),
        });
        if let Some(schedule) = &self.schedule {
            body["waits_until"] = self.waits_until().map_or(Value::Null, Value::from);
            body["missed_slots"] = schedule.missed(OffsetDateTime::now_utc()).into();
            body["last_crawl_failed"] = schedule.crawls().last_failed.map_or(Value::Null, Value::from);
        }
        HealthResponse {
            is_ok: problem.is_none(),
            summary: problem.unwrap_or_else(|| "healthy".to_owned()),
            body,
        }
    }

    fn readiness(&self) -> HealthResponse {
        // Between two crawls a scheduled process stays ready, although the next one has to claim the region again.
        let has_started = self.schedule.as_ref().is_some_and(|schedule| schedule.has_started());
        let is_crawling = self.crawl().covered.is_some();
        let is_ok = !self.shutdown.is_cancelled() && (is_crawling || has_started);
        let summary = match (self.shutdown.is_cancelled(), is_crawling, self.waits_until()) {
            (true, ..) => "shutting down".to_owned(),
            (false, true, _) => "crawling".to_owned(),
            (false, false, Some(time)) => format!("waiting for the crawl at {time}"),
            (false, false, None) => "waiting for Kafka, or checking the API and the cursor".to_owned(),
        };
        let status = if is_ok { "ready" } else { "not_ready" };
        let body = json!({ "status": status, "reason": summary });
        HealthResponse { is_ok, summary, body }
    }

    fn record(&self) {
        let region = || self.region.name();
        let (totals, covered) = {
            let crawl = self.crawl();
            (crawl.earlier.clone().with(&crawl.counters), crawl.covered)
        };
        for (failure, count) in totals.outcomes {
            let outcome = failure.map_or("ok".to_owned(), label);
            counter!(names::PRODUCER_REQUESTS, "region" => region(), "outcome" => outcome).absolute(count);
        }
        counter!(names::PRODUCER_BYTES, "region" => region()).absolute(totals.bytes);
        let Waited { limiter, paused } = totals.waits;
        for (cause, waited) in
            [("rate_limit", limiter), ("retry", paused), ("kafka", totals.waited_for_kafka)]
        {
            counter!(names::PRODUCER_WAIT, "region" => region(), "cause" => cause).absolute(waited.as_secs());
        }
        if let Some(covered) = covered {
            gauge!(names::PRODUCER_COVERED, "region" => region()).set(covered);
        }
        self.schedule.iter().for_each(|schedule| self.record_schedule(schedule));
        counter!(names::PRODUCER_LOG_LINES_DROPPED).absolute(lost_lines());
    }
}

fn label(cause: RequestFailure) -> String {
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
mod tests;
