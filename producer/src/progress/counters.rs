//! What this process asked of the API, and how long it had to wait: counted while it crawls, told in the
//! summary at the end and on the bars before that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::api::error::{ApiError, Incomplete};
use crate::api::throttle::Waited;
use crate::progress::watch;

/// Why a request was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// 429.
    Throttled,
    /// 5xx.
    ServerError,
    /// Nothing came for too long.
    Timeout,
    /// The connection could not be made, or broke off.
    Network,
    /// The answer was larger than it may be.
    TooLarge,
    /// The answer was not the JSON that it should be.
    Unreadable,
    /// The answer can't be true.
    Contradiction,
    /// Something else.
    Other,
}

impl Cause {
    /// The cause as a word in a sentence.
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

impl From<&ApiError> for Cause {
    fn from(error: &ApiError) -> Self {
        match error {
            ApiError::Status { status: 429, .. } => Self::Throttled,
            ApiError::Status { status: 500.., .. } => Self::ServerError,
            ApiError::Transport(error) if error.is_timeout() => Self::Timeout,
            ApiError::Incomplete { reason: Incomplete::Late | Incomplete::Slow { .. }, .. } => Self::Timeout,
            ApiError::Incomplete { reason: Incomplete::TooLarge(_), .. } => Self::TooLarge,
            ApiError::Incomplete { reason: Incomplete::Torn, .. } | ApiError::Garbled(_) => Self::Unreadable,
            ApiError::Transport(_) | ApiError::Incomplete { .. } => Self::Network,
            ApiError::Unreadable(_) => Self::Unreadable,
            ApiError::Contradiction(_) | ApiError::NoListing(_) => Self::Contradiction,
            _ => Self::Other,
        }
    }
}

/// Counts of one process.
#[derive(Default)]
pub(crate) struct Tally {
    requests: AtomicU64,
    bytes: AtomicU64,
    /// When the first request was sent.
    first: OnceLock<Instant>,
    waited: Mutex<Waited>,
    retries: Mutex<BTreeMap<Cause, u64>>,
    /// Until when every lane is held back.
    paused_until: Mutex<Option<Instant>>,
}

impl Tally {
    pub(crate) fn requested(&self) {
        self.first.get_or_init(Instant::now);
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes that a request is sent again after a wait.
    pub(crate) fn retried(&self, error: &ApiError, wait: Duration) {
        *lock(&self.retries).entry(Cause::from(error)).or_default() += 1;
        let until = Instant::now() + wait;
        watch::retried(until);
        if error.is_throttled() {
            let mut paused = lock(&self.paused_until);
            *paused = (*paused).max(Some(until));
        }
    }

    /// Counts what a request has waited for.
    pub(crate) fn waited(&self, waited: Waited) {
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

    /// How long ago the first request was sent: neither an earlier wait for Kafka nor anything else that is no
    /// crawling is in it.
    pub(crate) fn crawling(&self) -> Duration {
        self.first.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// How long requests have waited, all lanes together.
    pub(crate) fn waits(&self) -> Waited {
        *lock(&self.waited)
    }

    pub(crate) fn retries(&self) -> BTreeMap<Cause, u64> {
        lock(&self.retries).clone()
    }

    pub(crate) fn paused_until(&self) -> Option<Instant> {
        *lock(&self.paused_until)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
