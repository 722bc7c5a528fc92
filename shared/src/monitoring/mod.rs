//! Monitoring of a running program: metrics for Prometheus, `/healthz`, `/readyz` and a page at `/` over HTTP, and
//! notifications to systemd.
//!
//! All of it runs on a thread with a runtime of its own. So it also answers while all threads of the program's runtime are
//! busy, and a slow client of it can't slow down the program.
//!
//! There are two kinds of metrics. Counters and histograms are kept in the global recorder of the crate `metrics`; without
//! `--metrics-addr` no recorder exists, and they cost nothing. Each scrape records the gauges again from the program's state
//! ([`Monitored::record`]), so a partition that was revoked has no gauges.

mod args;
mod front_page;
mod health_response;
pub mod names;
mod recorder;
mod server;
mod systemd;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use args::MonitoringArgs;
pub use front_page::{FrontPage, PendingPage};
pub use health_response::HealthResponse;

use crate::events;
use recorder::Recorder;
use systemd::Systemd;

/// Interval of the recorder's upkeep and of notifications to systemd.
const TICK: Duration = Duration::from_secs(1);

/// How long the end of the program waits for the monitoring thread, which has only one notification to send.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// A program that is monitored. All functions are called on the monitoring thread and must not block, because it also answers
/// `/healthz`.
pub trait Monitored: Send + Sync + 'static {
    /// Whether the program makes progress. If not, a restart may help.
    fn health(&self) -> HealthResponse;

    /// Whether the program has started and is not shutting down.
    fn readiness(&self) -> HealthResponse;

    /// Records the gauges of a scrape, and counters that are kept elsewhere, in the current recorder.
    fn record(&self);

    /// The page at `/`. The connection is closed after ten seconds, so the future must end sooner, even while a server that it
    /// asks does not answer.
    fn front_page(&self) -> PendingPage {
        Box::pin(async { FrontPage::Text(front_page::PATHS) })
    }
}

/// Whether the program is monitored by anybody.
#[must_use]
pub fn is_on(args: &MonitoringArgs) -> bool {
    args.metrics_addr.is_some() || systemd::is_present()
}

/// A monitoring thread that runs. Dropping this stops it, after it has notified systemd that the program stops.
#[must_use]
pub struct RunningMonitor {
    stop: CancellationToken,
    /// Closed when the thread ends.
    ended: mpsc::Receiver<()>,
}

impl Drop for RunningMonitor {
    /// Waits for the thread, because a process that exits first would cut off its last notification.
    fn drop(&mut self) {
        self.stop.cancel();
        self.ended.recv_timeout(END_TIMEOUT).unwrap_or_default();
    }
}

/// Starts the monitoring thread. Without `--metrics-addr` it only notifies systemd, and without systemd there is no thread.
///
/// # Errors
/// If the address is not available.
pub fn start(
    args: &MonitoringArgs,
    program: Arc<dyn Monitored>,
    shutdown: CancellationToken,
) -> anyhow::Result<Option<RunningMonitor>> {
    if !is_on(args) {
        return Ok(None);
    }
    let http = args.metrics_addr.map(|addr| -> anyhow::Result<_> {
        let listener = server::listen(addr)
            .with_context(|| format!("can't listen on {addr} (--metrics-addr, CATALOG_METRICS_ADDR)"))?;
        Ok((listener, Arc::new(Recorder::install()?)))
    });
    let http = http.transpose()?;
    if let Some((listener, _)) = &http {
        let addr = listener.local_addr()?;
        tracing::info!(event = events::MONITORING_STARTED, %addr, "serving /, /metrics, /healthz and /readyz");
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let (stopped, (running, ended)) = (stop.clone(), mpsc::channel());
    std::thread::Builder::new().name("monitoring".to_owned()).spawn(move || {
        let _running: mpsc::Sender<()> = running;
        runtime.block_on(monitor(http, program, shutdown, stopped));
    })?;
    Ok(Some(RunningMonitor { stop, ended }))
}

/// Monitors the program until it stops.
async fn monitor(
    http: Option<(TcpListener, Arc<Recorder>)>,
    program: Arc<dyn Monitored>,
    shutdown: CancellationToken,
    stop: CancellationToken,
) {
    let recorder = http.as_ref().map(|(_, recorder)| Arc::clone(recorder));
    if let Some((listener, recorder)) = http {
        tokio::spawn(server::serve(listener, recorder, Arc::clone(&program)));
    }
    let mut systemd = Systemd::find();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_stopping = false;
    while !stop.is_cancelled() {
        tokio::select! {
            () = shutdown.cancelled(), if !is_stopping => is_stopping = true,
            () = stop.cancelled() => is_stopping = true,
            _ = tick.tick() => {}
        }
        recorder.iter().for_each(|recorder| recorder.keep_up());
        systemd.iter_mut().for_each(|systemd| systemd.notify(&*program, is_stopping));
    }
}
