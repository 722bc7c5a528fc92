//! The requests that the mock server received, and their outcomes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, Method, Uri};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The path of the catalog's pages.
pub(super) const CATALOG_PATH: &str = "/api/catalog/v1";
/// The path of the list of domains.
pub(super) const DOMAINS_PATH: &str = "/api/catalog/v1/domains";

/// One request that the mock server received.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// Its place in the order of arrival, from 1.
    pub sequence: u64,
    /// The time at which its head was read.
    pub at: Instant,
    /// `GET`, as a rule.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query's parameters, decoded, in the order in which they were given.
    pub query: Vec<(String, String)>,
    /// All headers of the request; names are in lower case.
    pub headers: HeaderMap,
    /// The header `X-Request-Id`.
    pub request_id: Option<String>,
    /// How often this path and query were requested until then, from 1.
    pub attempt: u64,
    /// How many requests were in flight at its arrival, itself included. A request is in flight until
    /// the last byte of its answer has been handed to the connection.
    pub in_flight: usize,
    /// The status of its answer. `None` while it waits, and if it gets no answer.
    pub status: Option<u16>,
    /// The fault it met, by name.
    pub fault: Option<&'static str>,
    /// Whether it has ended: the last byte of its answer was handed to the connection, or the connection
    /// is gone.
    pub ended: bool,
}

impl ReceivedRequest {
    /// The first value of a query parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The requested page size. The API's default is 100.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.param("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100)
    }

    /// Whether it asks for a page of the catalog.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.path == CATALOG_PATH
    }

    /// Whether it asks for the list of domains.
    #[must_use]
    pub fn is_domains(&self) -> bool {
        self.path == DOMAINS_PATH
    }

    /// A number from 0 up to 1 that depends only on the seed, the path and query, and the attempt.
    pub(super) fn draw(&self, seed: u64) -> f64 {
        let mut hasher = DefaultHasher::new();
        (seed, &self.path, &self.query, self.attempt).hash(&mut hasher);
        (hasher.finish() >> 32) as f64 / (1_u64 << 32) as f64
    }
}

/// All requests, with notifications of changes.
pub(super) struct Log {
    entries: Mutex<Entries>,
    /// Increases with each arrival and each answer, so that waiters check again.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    requests: Vec<ReceivedRequest>,
    attempts: HashMap<String, u64>,
    in_flight: usize,
}

impl Log {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { entries: Mutex::default(), changes: watch::Sender::new(0) })
    }

    /// Records an arrival. The request counts as in flight until the ticket is dropped.
    pub(super) fn arrive(self: &Arc<Self>, method: Method, uri: &Uri, headers: HeaderMap) -> Ticket {
        let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut entries = self.entries.lock();
        entries.in_flight += 1;
        let attempt = entries.attempts.entry(uri.to_string()).or_default();
        *attempt += 1;
        let attempt = *attempt;
        let request = ReceivedRequest {
            sequence: entries.requests.len() as u64 + 1,
            at: Instant::now(),
            method,
            path: uri.path().to_owned(),
            query: form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
            headers,
            request_id,
            attempt,
            in_flight: entries.in_flight,
            status: None,
            fault: None,
            ended: false,
        };
        entries.requests.push(request.clone());
        drop(entries);
        self.changes.send_modify(|changes| *changes += 1);
        Ticket { log: Arc::clone(self), request }
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.entries.lock().requests.clone()
    }

    /// Returns when `enough` is true for the log.
    pub(super) async fn wait_until(&self, mut enough: impl FnMut(&[ReceivedRequest]) -> bool) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if enough(&self.entries.lock().requests) {
                return;
            }
            // The sender lives in `self`, so this ends with a change and never with an error.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn amend(&self, sequence: u64, amend: impl FnOnce(&mut ReceivedRequest)) {
        let index = usize::try_from(sequence - 1).unwrap_or(usize::MAX);
        if let Some(received) = self.entries.lock().requests.get_mut(index) {
            amend(received);
        }
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// One request on its way through the mock server.
pub(super) struct Ticket {
    log: Arc<Log>,
    request: ReceivedRequest,
}

impl Ticket {
    /// The request as it was at its arrival.
    pub(super) fn request(&self) -> &ReceivedRequest {
        &self.request
    }

    /// Notes the fault that was chosen for it.
    pub(super) fn met(&self, fault: &'static str) {
        self.log.amend(self.request.sequence, |request| request.fault = Some(fault));
    }

    /// Notes the status of its answer.
    pub(super) fn answered(&self, status: u16) {
        self.log.amend(self.request.sequence, |request| request.status = Some(status));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.log.entries.lock().in_flight -= 1;
        self.log.amend(self.request.sequence, |request| request.ended = true);
    }
}
