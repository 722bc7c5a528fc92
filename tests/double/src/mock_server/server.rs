//! The mock server itself: from a connection to an answer.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::response::Response;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer, Ending, Source};
use super::faults::{Drawn, Fault, Faults, Injected};
use super::gates::{Gate, Gates};
use super::line::{Line, Lines};
use super::log::{CATALOG_PATH, Log, ReceivedRequest, Ticket};
use super::matcher::Matcher;
use super::options::Options;
use super::playback;
use super::recording::Recording;
use super::region::Region;
use super::response::{built, pieces};

/// A running mock server. It serves on the runtime that it was started on, and stops, with all of its
/// connections, when it is dropped.
pub struct MockServer {
    address: SocketAddr,
    service: Arc<Service>,
    stop: CancellationToken,
}

struct Service {
    options: Options,
    unreadable: RwLock<HashSet<String>>,
    /// How many crawls have begun.
    crawls: AtomicU64,
    log: Arc<Log>,
    gates: Gates,
    faults: Faults,
}

impl MockServer {
    /// Starts to serve. When this returns the address takes connections.
    ///
    /// # Errors
    /// If the address can't be listened on.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let service = Arc::new(Service {
            options,
            unreadable: RwLock::default(),
            crawls: AtomicU64::new(0),
            log: Log::new(),
            gates: Gates::default(),
            faults: Faults::default(),
        });
        let router = Router::new().fallback(answer_request).with_state(Arc::clone(&service));
        let server = axum::serve(
            Lines::new(listener, stop.clone()),
            router.into_make_service_with_connect_info::<Line>(),
        );
        tokio::spawn(stop.clone().run_until_cancelled_owned(server.into_future()));
        Ok(Self { address, service, stop })
    }

    /// The catalog's URL, such as `http://127.0.0.1:40123/api/catalog/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{CATALOG_PATH}", self.base())
    }

    /// The server's URL without a path.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The region that it answers as.
    #[must_use]
    pub fn region(&self) -> Region {
        self.service.options.region
    }

    /// The recording that it plays, if it is set up to play one.
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        self.service.options.recording.as_ref()
    }

    /// All requests so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.service.log.requests()
    }

    /// Returns when at least `n` requests have arrived since the start.
    pub async fn wait_for_requests(&self, n: usize) {
        self.wait_until(|log| log.len() >= n).await;
    }

    /// Returns when `enough` is true for the log. It is evaluated now, and whenever a request arrives, meets a
    /// fault, is answered or ends. `enough` must not call the mock server.
    pub async fn wait_until(&self, enough: impl FnMut(&[ReceivedRequest]) -> bool) {
        self.service.log.wait_until(enough).await;
    }

    /// Holds requests before they are answered, until the gate lets them go.
    pub fn hold(&self, matcher: Matcher) -> Gate {
        self.service.gates.hold(matcher)
    }

    /// Applies the fault to every request that matches, until it is lifted.
    pub fn fail(&self, matcher: Matcher, fault: Fault) -> Injected {
        self.fail_times(u64::MAX, matcher, fault)
    }

    /// Applies the fault to the first request that matches.
    pub fn fail_once(&self, matcher: Matcher, fault: Fault) -> Injected {
        self.fail_times(1, matcher, fault)
    }

    /// Applies the fault to the first `times` requests that match.
    pub fn fail_times(&self, times: u64, matcher: Matcher, fault: Fault) -> Injected {
        self.service.faults.inject(matcher, fault, times)
    }

    /// Lifts all faults.
    pub fn heal(&self) {
        self.service.faults.lift_all();
    }

    /// Changes the order of lists from now on, as the start of a crawl does.
    pub fn reorder(&self) {
        self.service.begin_crawl();
    }

    /// Omits these ids from results from now on. They are still counted and keep their place in a
    /// page, so pages are short, or empty in the middle of a scroll.
    pub fn drop_from_results<T: Into<String>>(&self, ids: impl IntoIterator<Item = T>) {
        *self.service.unreadable.write() = ids.into_iter().map(Into::into).collect();
    }
}

impl Service {
    fn begin_crawl(&self) {
        self.crawls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn answer_request(
    State(service): State<Arc<Service>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let ticket = service.log.arrive(head.method, &head.uri, head.headers);
    service.gates.pass(ticket.request()).await;
    if !service.options.latency.is_zero() {
        tokio::time::sleep(service.options.latency).await;
    }
    if let Some(recording) = &service.options.recording {
        return playback::answer(recording, &line, ticket).await;
    }
    let drawn = service.faults.draw(ticket.request());
    if let Some(drawn) = &drawn {
        ticket.met(drawn.fault.name());
    }
    match &drawn {
        Some(Drawn { fault: Fault::Reset, .. }) => {
            line.reset();
            return Response::default();
        }
        Some(Drawn { fault: Fault::Hang, lifted }) => lifted.cancelled().await,
        _ => {}
    }
    let answer = compose(&service, ticket.request(), drawn.as_ref()).await;
    ticket.answered(answer.status.as_u16());
    respond(answer, service.options.chunked, drawn, ticket)
}

/// Searches on a thread for blocking work, because a big page takes milliseconds and the test uses the same runtime.
async fn compose(service: &Arc<Service>, received: &ReceivedRequest, drawn: Option<&Drawn>) -> Answer {
    if received.is_domains() {
        service.begin_crawl();
    }
    let (service, received) = (Arc::clone(service), received.clone());
    let fault = drawn.map(|drawn| drawn.fault.clone());
    let composed = tokio::task::spawn_blocking(move || {
        let unreadable = service.unreadable.read();
        let crawl = service.crawls.load(Ordering::Relaxed);
        let source = Source { options: &service.options, unreadable: &unreadable, crawl };
        answer::compose(&source, &received, fault.as_ref())
    });
    match composed.await {
        Ok(answer) => answer,
        // A search that panicked has already printed its message. The client gets no answer.
        Err(_) => std::future::pending().await,
    }
}

fn respond(answer: Answer, chunked: bool, drawn: Option<Drawn>, ticket: Ticket) -> Response {
    let mut response = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, answer.content_type)
        .header("X-Socrata-Region", answer.region)
        .header("X-Socrata-RequestId", format!("{:032x}", ticket.request().sequence));
    if answer.gzipped {
        response = response.header(CONTENT_ENCODING, "gzip");
    }
    if let Some(retry_after) = answer.retry_after {
        response = response.header(RETRY_AFTER, retry_after);
    }
    if answer.ending == Ending::Cut || !chunked {
        response = response.header(CONTENT_LENGTH, answer.body.len());
    }
    let lifted = drawn.map(|drawn| drawn.lifted).unwrap_or_default();
    let body = Body::from_stream(pieces(answer.body, answer.ending, lifted, ticket));
    built(response.body(body))
}
