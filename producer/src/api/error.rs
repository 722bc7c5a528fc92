//! The errors of API requests, and whether a retry may help.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

use crate::api::byte_order_mark::without_bom;
use crate::progress::counters::RequestFailure;

/// How many bytes of an incomplete answer are kept to find an id: several times the largest known object.
const HEAD: usize = 1024 * 1024;
/// How much of an invalid answer is quoted in a message, in bytes.
const EXCERPT: usize = 200;

/// Why a request had no usable answer.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// An HTTP status other than 200.
    #[error("{sender} answered {status}{}{}", after_colon(.message), asked_to_wait(*.retry_after))]
    Status {
        status: u16,
        sender: Sender,
        message: String,
        retry_after: Option<Duration>,
        /// Decided by [`crate::api::error_response`].
        retry: Retries,
    },
    /// No answer.
    #[error("the request failed")]
    Transport(#[source] reqwest::Error),
    /// An incomplete answer, or none in time. A smaller page may succeed.
    #[error("{reason}")]
    Incomplete {
        reason: Incomplete,
        /// The start of the received part.
        head: Bytes,
        #[source]
        source: Option<reqwest::Error>,
    },
    /// An answer that the API's documentation does not describe, such as HTML from a proxy.
    #[error("the response can't be read: {0}")]
    Unreadable(String),
    /// An answer with many invalid objects, which is an error of the server and not of the objects.
    #[error("too many objects of one response are not valid JSON: {0}")]
    Garbled(String),
    /// An answer that contradicts another one. A retry may help if an index was being rebuilt.
    #[error("the response contradicts another one: {0}")]
    Contradiction(String),
    /// A server that doesn't scroll by id, so that a crawl would be incomplete.
    #[error("the API doesn't scroll by id: {0}")]
    NoScroll(String),
    /// A page that can't be the next one of the listing by date.
    #[error("the API doesn't list by date: {0}")]
    NoListing(String),
    /// The catalog of another region, which must not be crawled in place of this one.
    #[error("another region answered: X-Socrata-Region is {0:?}")]
    OtherRegion(String),
    /// The recording can't be written. An incomplete recording would be worse than none.
    #[error("can't record the exchange (--record)")]
    Unrecorded(#[source] io::Error),
}

/// Who sent an answer with a status other than 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Sender {
    /// The API: the answer has one of its documented forms.
    #[error("the API")]
    Api,
    /// A proxy, firewall or load balancer in front of it.
    #[error("a gateway")]
    Gateway,
}

/// Why an answer is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Incomplete {
    #[error("the response was cut off")]
    CutOff,
    #[error("the response timed out: no data for as long as --timeout allows")]
    Late,
    #[error("the response was too slow: fewer than {min_bytes} bytes in {} s", window.as_secs())]
    Slow { min_bytes: u64, window: Duration },
    #[error("the response is larger than the {0} bytes of --max-page-bytes")]
    TooLarge(u64),
    #[error("the response is not valid JSON, and its strings and brackets don't match")]
    Torn,
}

/// How often a request may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retries {
    /// Never, because the answer will be the same.
    None,
    /// A few times: enough for a stale cache or one bad server of many, few enough to report a broken server quickly.
    Few,
    /// Until the time budget of the request is used up.
    UntilBudget,
}

impl ApiError {
    pub(crate) fn incomplete(reason: Incomplete, body: &[u8], source: Option<reqwest::Error>) -> Self {
        let body = without_bom(body);
        let head = Bytes::copy_from_slice(&body[..body.len().min(HEAD)]);
        Self::Incomplete { reason, head, source }
    }

    /// The error for a body that is not the expected JSON: incomplete, or something else.
    pub(crate) fn of_json(error: &serde_json::Error, body: &[u8]) -> Self {
        if error.is_eof() {
            return Self::incomplete(Incomplete::CutOff, body, None);
        }
        Self::Unreadable(format!("{error}; the response starts with {:?}", excerpt(body)))
    }

    /// Whether a retry of the same request may succeed: after network errors, timeouts, incomplete answers, HTML, and
    /// statuses for which [`crate::api::error_response`] says so.
    pub(crate) fn retries(&self) -> Retries {
        match self {
            Self::Status { retry, .. } => *retry,
            Self::Transport(error) if error.is_builder() => Retries::None,
            Self::Unrecorded(_) => Retries::None,
            // A torn answer has already been requested twice.
            Self::Incomplete { reason: Incomplete::TooLarge(_) | Incomplete::Torn, .. } => Retries::None,
            Self::NoScroll(_) | Self::NoListing(_) | Self::OtherRegion(_) | Self::Garbled(_) => Retries::Few,
            Self::Transport(_) | Self::Incomplete { .. } | Self::Unreadable(_) | Self::Contradiction(_) => {
                Retries::UntilBudget
            }
        }
    }

    /// The error of a request without an answer: a timeout if the server was connected and sent nothing.
    pub(crate) fn unanswered(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::incomplete(Incomplete::Late, &[], Some(error));
        }
        Self::Transport(error)
    }

    /// The start of an incomplete answer. A smaller page may succeed.
    pub(crate) const fn incomplete_head(&self) -> Option<&Bytes> {
        match self {
            Self::Incomplete { head, .. } => Some(head),
            _ => None,
        }
    }

    /// Whether a complete answer has a broken structure.
    pub(crate) const fn is_torn(&self) -> bool {
        matches!(self, Self::Incomplete { reason: Incomplete::Torn, .. })
    }

    /// The cause of a retry.
    pub(crate) fn cause(&self) -> RequestFailure {
        match self {
            Self::Status { status: 429, .. } => RequestFailure::Throttled,
            Self::Status { status: 500.., .. } => RequestFailure::ServerError,
            Self::Transport(error) if error.is_timeout() => RequestFailure::Timeout,
            Self::Incomplete { reason: Incomplete::Late | Incomplete::Slow { .. }, .. } => {
                RequestFailure::Timeout
            }
            Self::Incomplete { reason: Incomplete::TooLarge(_), .. } => RequestFailure::TooLarge,
            Self::Incomplete { reason: Incomplete::Torn, .. } | Self::Garbled(_) => {
                RequestFailure::Unreadable
            }
            Self::Transport(_) | Self::Incomplete { .. } => RequestFailure::Network,
            Self::Unreadable(_) => RequestFailure::Unreadable,
            Self::Contradiction(_) | Self::NoListing(_) => RequestFailure::Contradiction,
            _ => RequestFailure::Other,
        }
    }

    /// Whether the API throttles this client, so that all lanes must wait.
    pub(crate) const fn is_throttled(&self) -> bool {
        matches!(self, Self::Status { status: 429, .. })
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The start of a body, for a message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned()
}

/// A request that failed for good.
#[derive(Debug, Error)]
#[error("request {request_id} failed{}", of_budget(*.spent))]
pub(crate) struct Failed {
    /// The id of the request, in the log and in `X-Request-Id`.
    pub(crate) request_id: Uuid,
    /// The time budget, if it was the reason not to retry.
    pub(crate) spent: Option<Duration>,
    /// The number of incomplete answers.
    pub(crate) incomplete: u32,
    #[source]
    pub(crate) error: ApiError,
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn asked_to_wait(retry_after: Option<Duration>) -> String {
    match retry_after {
        None => String::new(),
        Some(Duration::MAX) => " (Retry-After: more than 2^64 s)".to_owned(),
        Some(wait) => format!(" (Retry-After: {} s)", wait.as_secs()),
    }
}

fn of_budget(spent: Option<Duration>) -> String {
    spent.map_or_else(String::new, |budget| {
        format!(", and another retry would exceed the {} s of --retry-for", budget.as_secs())
    })
}

impl Failed {
    /// The start of an incomplete answer.
    pub(crate) const fn incomplete_head(&self) -> Option<&Bytes> {
        self.error.incomplete_head()
    }

    /// Whether an incomplete answer will stay incomplete: one may be a network error, two are not.
    pub(crate) fn is_permanent(&self) -> bool {
        self.incomplete > 1 || self.error.retries() == Retries::None
    }
}
