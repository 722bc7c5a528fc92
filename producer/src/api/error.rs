//! What can be wrong with an answer of the API, and whether it is worth another try.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

use crate::api::body::without_mark;
use crate::progress::counters::Cause;

/// How much of an incomplete answer is kept to look for an id in: several times the largest object known.
const HEAD: usize = 1024 * 1024;
/// How much of an answer that isn't understood goes into a message, in bytes.
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
        /// Decided where the answer is read ([`crate::api::error_response`]).
        worth: Worth,
    },
    /// No answer.
    #[error("the request failed")]
    Transport(#[source] reqwest::Error),
    /// Not all of an answer, or none in time. A smaller page may fare better.
    #[error("{reason}")]
    Incomplete {
        reason: Incomplete,
        /// The beginning of what came.
        head: Bytes,
        #[source]
        source: Option<reqwest::Error>,
    },
    /// An answer that isn't what the API's documentation describes, such as HTML from a proxy.
    #[error("the answer can't be read: {0}")]
    Unreadable(String),
    /// An answer with many objects that are no JSON: the server is at fault and not the objects.
    #[error("too many objects of one answer are no JSON: {0}")]
    Garbled(String),
    /// An answer that can't be true. Asking again may help where an index was being rebuilt.
    #[error("the answer contradicts another one: {0}")]
    Contradiction(String),
    /// A server that doesn't follow the scroll's rules; a crawl of it would be no crawl.
    #[error("the API doesn't scroll by id: {0}")]
    NoScroll(String),
    /// A page that can't be the next one of a listing by date.
    #[error("the API doesn't list by date: {0}")]
    NoListing(String),
    /// The catalog of another region, which must never stand in for this one.
    #[error("another region answered: X-Socrata-Region reads {0:?}")]
    OtherRegion(String),
    /// The cassette can't be written; one with holes would be worse than none.
    #[error("the exchange can't be recorded (--record)")]
    Unrecorded(#[source] io::Error),
}

/// Who sent an answer with another status than 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Sender {
    /// The API, because it is in one of the forms that the API documents.
    #[error("the API")]
    Api,
    /// Something in front of it: a proxy, a firewall, a load balancer.
    #[error("a gateway")]
    Gateway,
}

/// What an answer that isn't complete lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Incomplete {
    #[error("the answer was cut off")]
    CutOff,
    #[error("the answer was late: nothing came for as long as --timeout allows")]
    Late,
    #[error("the answer came too slowly: fewer than {floor} bytes in {} s", window.as_secs())]
    Slow { floor: u64, window: Duration },
    #[error("the answer is larger than the {0} bytes of --max-page-bytes")]
    TooLarge(u64),
    #[error("the answer is no JSON, and its strings and brackets don't match")]
    Torn,
}

/// How often it is worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// The answer will be the same.
    Nothing,
    /// One odd answer may come from a cache or a server among many; a few say that it is the rule.
    FewTries,
    /// For as long as the budget of the request lasts.
    Budget,
}

impl ApiError {
    pub(crate) fn incomplete(reason: Incomplete, body: &[u8], source: Option<reqwest::Error>) -> Self {
        let body = without_mark(body);
        let head = Bytes::copy_from_slice(&body[..body.len().min(HEAD)]);
        Self::Incomplete { reason, head, source }
    }

    /// What a body that isn't the expected JSON is: the beginning of it, or something else.
    pub(crate) fn of_json(error: &serde_json::Error, body: &[u8]) -> Self {
        if error.is_eof() {
            return Self::incomplete(Incomplete::CutOff, body, None);
        }
        Self::Unreadable(format!("{error}; it starts with {:?}", excerpt(body)))
    }

    /// Whether the same request may fare better later: network errors, timeouts, answers cut off, HTML for JSON,
    /// and statuses of which [`crate::api::error_response`] says so.
    pub(crate) fn worth(&self) -> Worth {
        match self {
            Self::Status { worth, .. } => *worth,
            Self::Transport(error) if error.is_builder() => Worth::Nothing,
            Self::Unrecorded(_) => Worth::Nothing,
            // What is torn has been asked for twice by then.
            Self::Incomplete { reason: Incomplete::TooLarge(_) | Incomplete::Torn, .. } => Worth::Nothing,
            Self::NoScroll(_) | Self::NoListing(_) | Self::OtherRegion(_) | Self::Garbled(_) => {
                Worth::FewTries
            }
            Self::Transport(_) | Self::Incomplete { .. } | Self::Unreadable(_) | Self::Contradiction(_) => {
                Worth::Budget
            }
        }
    }

    /// A request without an answer: late if the server was there and said nothing.
    pub(crate) fn unanswered(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::incomplete(Incomplete::Late, &[], Some(error));
        }
        Self::Transport(error)
    }

    /// The beginning of an answer that isn't complete: a smaller page may fare better.
    pub(crate) const fn incomplete_head(&self) -> Option<&Bytes> {
        match self {
            Self::Incomplete { head, .. } => Some(head),
            _ => None,
        }
    }

    /// Whether an answer came whole and its structure is broken.
    pub(crate) const fn is_torn(&self) -> bool {
        matches!(self, Self::Incomplete { reason: Incomplete::Torn, .. })
    }

    /// The cause of a retry.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Status { status: 429, .. } => Cause::Throttled,
            Self::Status { status: 500.., .. } => Cause::ServerError,
            Self::Transport(error) if error.is_timeout() => Cause::Timeout,
            Self::Incomplete { reason: Incomplete::Late | Incomplete::Slow { .. }, .. } => Cause::Timeout,
            Self::Incomplete { reason: Incomplete::TooLarge(_), .. } => Cause::TooLarge,
            Self::Incomplete { reason: Incomplete::Torn, .. } | Self::Garbled(_) => Cause::Unreadable,
            Self::Transport(_) | Self::Incomplete { .. } => Cause::Network,
            Self::Unreadable(_) => Cause::Unreadable,
            Self::Contradiction(_) | Self::NoListing(_) => Cause::Contradiction,
            _ => Cause::Other,
        }
    }

    /// Whether it is said to the client as a whole, so that all lanes have to wait.
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

/// The beginning of a body, for a message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned()
}

/// A request that was given up.
#[derive(Debug, Error)]
#[error("request {request_id} failed{}", of_budget(*.spent))]
pub(crate) struct Failed {
    /// The id that the request went by: in the log here, and in `X-Request-Id` there.
    pub(crate) request_id: Uuid,
    /// The budget of time, where only that forbids another try.
    pub(crate) spent: Option<Duration>,
    /// How many of its answers were not complete.
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
        format!(", and another try would not fit into the {} s of --retry-for", budget.as_secs())
    })
}

impl Failed {
    /// The beginning of an answer that wasn't complete.
    pub(crate) const fn incomplete_head(&self) -> Option<&Bytes> {
        self.error.incomplete_head()
    }

    /// Whether an answer that isn't complete will stay so: once may be the network's fault, twice is not.
    pub(crate) fn will_stay(&self) -> bool {
        self.incomplete > 1 || self.error.worth() == Worth::Nothing
    }
}
