//! The HTTP server. A slow or stuck client costs one of a few connections, and only for a few seconds.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::recorder::Recorder;
use super::{HealthResponse, Monitored, front_page};

/// The maximum number of connections at once. Further ones wait.
const CONNECTIONS: usize = 16;
/// How long a client may take for the head of a request, and for all requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Delay after a failed accept, such as without a free file descriptor.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// Binds the address, so that the program ends at its start if that fails.
pub(super) fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, recorder: Arc<Recorder>, program: Arc<dyn Monitored>) {
    // Fails only outside of a runtime.
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let (router, permits) = (router(recorder, program), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    connection(stream, router).await;
                    drop(permit);
                });
            }
            Err(_) => sleep(ACCEPT_DELAY).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let serve = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Errors are those of the client. A scraper opens a new connection.
    let _ = timeout(CONNECTION_TIMEOUT, serve).await;
}

fn router(recorder: Arc<Recorder>, program: Arc<dyn Monitored>) -> Router {
    let (scraped, checked, ready) = (Arc::clone(&program), Arc::clone(&program), Arc::clone(&program));
    Router::new()
        .route("/", get(async move || front_page::respond(program.front_page().await)))
        .route("/metrics", get(async move || metrics(&recorder, &*scraped)))
        .route("/healthz", get(async move || report(&checked.health())))
        .route("/readyz", get(async move || report(&ready.readiness())))
}

fn metrics(recorder: &Recorder, program: &dyn Monitored) -> Response {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, TEXT)], recorder.render(program)).into_response()
}

fn report(report: &HealthResponse) -> Response {
    let status = if report.is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{}\n", report.body)).into_response()
}
