//! Probes of running programs, like those of Kubernetes, which restarts a program that fails several in a row.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::MonitoringPort;

/// The shortest period of Kubernetes. deploy/kubernetes has ten seconds, but what lasts for three seconds must not be missed.
const PERIOD: Duration = Duration::from_secs(1);
/// So many failures in a row mean a restart, as in deploy/kubernetes.
pub(super) const FAILURES: u32 = 3;

/// Probes programs.
#[derive(Clone, Debug)]
pub struct Prober(UnboundedSender<String>);

/// Why programs would have been restarted, or would have got no more requests.
#[derive(Debug)]
pub struct Restarts(UnboundedReceiver<String>);

/// The probes of a path. They end when this is dropped, which comes before a program is stopped on purpose.
#[derive(Debug)]
pub struct Probes {
    _stop: DropGuard,
}

impl Prober {
    /// A prober, and what it finds.
    #[must_use]
    pub fn new() -> (Self, Restarts) {
        let (sender, restarts) = unbounded_channel();
        (Self(sender), Restarts(restarts))
    }

    /// Probes a path of a program. No answer within five seconds is a failure, as is any status but 200.
    #[must_use]
    pub fn probe(&self, port: &MonitoringPort, path: &'static str) -> Probes {
        let (port, found, stop) = (port.clone(), self.0.clone(), CancellationToken::new());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            let failure = last_of_several(&port, path).await;
            // Without a receiver nobody waits for it any more.
            found.send(failure).ok();
        }));
        Probes { _stop: stop.drop_guard() }
    }
}

/// The last of so many failures in a row that they mean a restart.
async fn last_of_several(port: &MonitoringPort, path: &str) -> String {
    let (mut period, mut failed) = (interval(PERIOD), 0);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let Some(failure) = port.failed_probe(path).await else {
            failed = 0;
            continue;
        };
        failed += 1;
        if failed == FAILURES {
            return failure;
        }
    }
}

impl Restarts {
    /// Does the work, unless a program would have been restarted meanwhile.
    ///
    /// # Errors
    /// That of the work, or the last failure of a probe.
    pub async fn none_during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            Some(failure) = self.0.recv() => bail!("{FAILURES} probes in a row failed: {failure}"),
            done = work => done,
        }
    }
}
