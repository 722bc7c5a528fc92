//! The faults of answers, and the requests that they apply to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::log::ReceivedRequest;
use super::matcher::Matcher;

/// A fault of an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error status. Without a body the API's own text is sent (429 has none).
    Status {
        /// The HTTP status code.
        status: u16,
        /// The header `Retry-After`, as text: seconds or an HTTP date.
        retry_after: Option<String>,
        /// The body in place of `{"error": …}`.
        body: Option<String>,
    },
    /// A page of HTML with status 200, as proxies send it.
    Html,
    /// A page of HTML with an error status, as gateways send it.
    Gateway {
        /// The HTTP status code.
        status: u16,
    },
    /// A complete HTTP answer with truncated JSON.
    CutJson,
    /// The connection closes before `Content-Length` bytes were sent.
    CutConnection,
    /// No byte is sent until the fault is lifted. Then the answer is valid.
    Hang,
    /// Half of the body is sent, and the other half when the fault is lifted.
    Stall,
    /// The connection is reset before any byte of the answer.
    Reset,
    /// JSON without the field `results`.
    NoResults,
    /// No results where there should be some, with the correct size.
    EmptyResults,
    /// A valid answer with the header of the other region.
    WrongRegion,
    /// `scroll_id` is ignored: results come in relevance order.
    IgnoreScroll,
    /// `scroll_id` is treated as empty: the first page of the scroll is repeated.
    FirstPageAgain,
    /// One of these, drawn from the seed as [`Matcher::share`] draws.
    OneOf {
        /// The seed of the draw.
        seed: u64,
        /// The faults to choose from, with equal probability.
        faults: Vec<Fault>,
    },
}

/// The body of an error by the edge: `{"code": "permission_denied", "error": true, "message": "…"}`.
pub(super) fn edge_error(code: &str, message: &str) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    format!(r#"{{"code": {}, "error": true, "message": {}}}"#, text(code), text(message))
}

const CHOICE: u64 = 0x6368_6f69_6365;

impl Fault {
    /// An error with the API's own body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None, body: None }
    }

    /// A 429, with `Retry-After` (seconds or an HTTP date) or without.
    #[must_use]
    pub fn too_many_requests(retry_after: Option<&str>) -> Self {
        Self::Status { status: 429, retry_after: retry_after.map(str::to_owned), body: None }
    }

    /// An error of the server in front of the search service, which has its own form.
    #[must_use]
    pub fn edge(status: u16, code: &str, message: &str) -> Self {
        Self::Status { status, retry_after: None, body: Some(edge_error(code, message)) }
    }

    /// One of `faults`, drawn reproducibly.
    #[must_use]
    pub fn one_of(seed: u64, faults: impl Into<Vec<Self>>) -> Self {
        Self::OneOf { seed, faults: faults.into() }
    }

    /// The fault's name in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Html => "html",
            Self::Gateway { .. } => "gateway",
            Self::CutJson => "cut-json",
            Self::CutConnection => "cut-connection",
            Self::Hang => "hang",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::NoResults => "no-results",
            Self::EmptyResults => "empty-results",
            Self::WrongRegion => "wrong-region",
            Self::IgnoreScroll => "ignore-scroll",
            Self::FirstPageAgain => "first-page-again",
            Self::OneOf { .. } => "one-of",
        }
    }

    /// Draws until it is a single fault. `None` for an empty choice.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a draw is within 0 and 1")]
    fn resolve(&self, request: &ReceivedRequest) -> Option<Self> {
        match self {
            Self::OneOf { seed, faults } => {
                // Different from the draw of a share with the same seed, which passes only low values.
                let drawn = (request.draw(seed ^ CHOICE) * faults.len() as f64) as usize;
                faults.get(drawn).and_then(|fault| fault.resolve(request))
            }
            fault => Some(fault.clone()),
        }
    }
}

/// An injected fault, to inspect and to remove.
#[derive(Clone)]
pub struct Injected(Arc<Rule>);

impl Injected {
    /// How many requests have met it.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.0.fired.load(Ordering::Relaxed)
    }

    /// Ends it, and answers the requests that it delays.
    pub fn lift(&self) {
        self.0.lifted.cancel();
    }
}

struct Rule {
    matcher: Matcher,
    fault: Fault,
    times: u64,
    fired: AtomicU64,
    lifted: CancellationToken,
}

/// A fault chosen for one request.
pub(super) struct Drawn {
    pub(super) fault: Fault,
    pub(super) lifted: CancellationToken,
}

/// All faults of a mock server. Of several that match a request, the first one that was added applies.
#[derive(Default)]
pub(super) struct Faults {
    rules: Mutex<Vec<Arc<Rule>>>,
}

impl Faults {
    pub(super) fn inject(&self, matcher: Matcher, fault: Fault, times: u64) -> Injected {
        let rule = Arc::new(Rule {
            matcher,
            fault,
            times,
            fired: AtomicU64::new(0),
            lifted: CancellationToken::new(),
        });
        self.rules.lock().push(Arc::clone(&rule));
        Injected(rule)
    }

    pub(super) fn lift_all(&self) {
        for rule in self.rules.lock().drain(..) {
            rule.lifted.cancel();
        }
    }

    pub(super) fn draw(&self, request: &ReceivedRequest) -> Option<Drawn> {
        let mut rules = self.rules.lock();
        rules.retain(|rule| !rule.lifted.is_cancelled());
        // All matchers are evaluated, not only up to the first match, because each one counts separately.
        let fitting: Vec<_> = rules.iter().filter(|rule| rule.matcher.matches(request)).collect();
        let rule = fitting.into_iter().find(|rule| rule.fired.load(Ordering::Relaxed) < rule.times)?;
        let fault = rule.fault.resolve(request)?;
        rule.fired.fetch_add(1, Ordering::Relaxed);
        Some(Drawn { fault, lifted: rule.lifted.clone() })
    }
}
