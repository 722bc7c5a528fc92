//! Counters of the requests of this process, and of their waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Why a request was retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RequestFailure {
    /// 429.
    Throttled,
    /// 5xx.
    ServerError,
    /// No data for too long.
    Timeout,
    /// The connection could not be established, or was lost.
    Network,
    /// The answer was larger than the limit.
    TooLarge,
    /// The answer was not the expected JSON.
    Unreadable,
    /// The answer contradicts an earlier one.
    Contradiction,
    /// Any other cause.
    Other,
}

impl RequestFailure {
    /// The cause as text.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::ServerError => "server error",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::TooLarge => "too large",
            Self::Unreadable => "unreadable",
            Self::Contradiction => "contradiction",
            Self::Other => "other",
        }
    }
}

/// How long a request waited before it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waited {
    /// For the rate limiter, including its queue.
    pub(crate) limiter: Duration,
    /// For the end of a pause that the API asked for or that follows another error.
    pub(crate) paused: Duration,
}

/// The counters of one process.
#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    /// The number of requests by the cause of their failure; none is a success.
    outcomes: Mutex<BTreeMap<Option<RequestFailure>, u64>>,
    /// When data last arrived, a request ended or a transaction was committed.
    active: Mutex<Option<Instant>>,
    /// Since when a transaction has been waiting for Kafka.
    publishing: Mutex<Option<Instant>>,
    /// How long the start waited for Kafka.
    waited_for_kafka: Mutex<Duration>,
    bytes: AtomicU64,
    /// When the first request was sent.
    first: OnceLock<Instant>,
    waited: Mutex<Waited>,
    retries: Mutex<BTreeMap<RequestFailure, u64>>,
    /// The end of the last pause of all lanes.
    paused_until: Mutex<Option<Instant>>,
}

impl Counters {
    pub(crate) fn add_request(&self) {
        self.first.get_or_init(Instant::now);
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts a part of an answer. A slow body is progress, too: it is cut off if it is too slow.
    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.note_activity();
    }

    /// Counts the end of a request.
    pub(crate) fn add_outcome(&self, failure: Option<RequestFailure>) {
        *lock(&self.outcomes).entry(failure).or_default() += 1;
        self.note_activity();
    }

    /// The number of requests by the cause of their failure; none is a success.
    pub(crate) fn outcomes(&self) -> BTreeMap<Option<RequestFailure>, u64> {
        lock(&self.outcomes).clone()
    }

    /// The crawl has made progress.
    pub(crate) fn note_activity(&self) {
        *lock(&self.active) = Some(Instant::now());
    }

    /// When the crawl last made progress. `None` before its first request and transaction.
    pub(crate) fn active(&self) -> Option<Instant> {
        *lock(&self.active)
    }

    /// A transaction begins (true) or has ended.
    pub(crate) fn set_publishing(&self, is_publishing: bool) {
        *lock(&self.publishing) = is_publishing.then(Instant::now);
        self.note_activity();
    }

    /// Since when a transaction has been open.
    pub(crate) fn publishing(&self) -> Option<Instant> {
        *lock(&self.publishing)
    }

    /// Adds a wait for Kafka before the crawl.
    pub(crate) fn add_kafka_wait(&self, waited: Duration) {
        *lock(&self.waited_for_kafka) += waited;
    }

    /// How long the start waited for Kafka.
    pub(crate) fn waited_for_kafka(&self) -> Duration {
        *lock(&self.waited_for_kafka)
    }

    /// Counts a request that is retried after `wait`. Throttling pauses all lanes for that time.
    pub(crate) fn add_retry(&self, cause: RequestFailure, wait: Duration) {
        *lock(&self.retries).entry(cause).or_default() += 1;
        if cause == RequestFailure::Throttled {
            let mut paused = lock(&self.paused_until);
            *paused = (*paused).max(Instant::now().checked_add(wait));
        }
    }

    /// Adds the waits of a request.
    pub(crate) fn add_waits(&self, waited: Waited) {
        let mut sum = lock(&self.waited);
        sum.limiter += waited.limiter;
        sum.paused += waited.paused;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The time since the first request, so that an earlier wait for Kafka does not count.
    pub(crate) fn elapsed(&self) -> Duration {
        self.first.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// The waits of all requests, summed over all lanes.
    pub(crate) fn waits(&self) -> Waited {
        *lock(&self.waited)
    }

    pub(crate) fn retries(&self) -> BTreeMap<RequestFailure, u64> {
        lock(&self.retries).clone()
    }

    pub(crate) fn paused_until(&self) -> Option<Instant> {
        *lock(&self.paused_until)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
