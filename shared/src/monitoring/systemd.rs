//! Notifications to systemd: READY=1 once the program is ready, WATCHDOG=1 while it is healthy, STOPPING=1 at the shutdown,
//! and its state as STATUS. Without the variable NOTIFY_SOCKET nothing is sent.

use std::env;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::Monitored;

/// Whether systemd expects notifications.
pub(super) fn is_present() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// What was sent so far.
pub(super) struct Systemd {
    /// Half of the unit's `WatchdogSec`, if it has one.
    ping_every: Option<Duration>,
    pinged: Option<Instant>,
    is_ready: bool,
    is_stopping: bool,
    status: String,
}

impl Systemd {
    /// `None` if systemd expects nothing.
    pub(super) fn find() -> Option<Self> {
        let ping_every = sd_notify::watchdog_enabled().map(|watchdog| watchdog / 2);
        let (is_ready, is_stopping, status) = (false, false, String::new());
        is_present().then_some(Self { ping_every, pinged: None, is_ready, is_stopping, status })
    }

    /// Sends what has changed, and a ping if one is due.
    pub(super) fn notify(&mut self, program: &dyn Monitored, is_stopping: bool) {
        let (health, readiness) = (program.health(), program.readiness());
        let status = if health.is_ok { readiness.summary } else { health.summary };
        let mut states = Vec::new();
        if readiness.is_ok && !self.is_ready {
            self.is_ready = true;
            states.push(NotifyState::Ready);
        }
        if is_stopping && !self.is_stopping {
            self.is_stopping = true;
            states.push(NotifyState::Stopping);
        }
        if status != self.status {
            states.push(NotifyState::Status(&status));
        }
        if health.is_ok && self.is_due(Instant::now()) {
            states.push(NotifyState::Watchdog);
        }
        if !states.is_empty()
            && let Err(error) = sd_notify::notify(&states)
        {
            tracing::debug!(%error, "can't notify systemd");
        }
        self.status = status;
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.ping_every.is_some_and(|every| {
            self.pinged.is_none_or(|pinged| now.duration_since(pinged) >= every.saturating_sub(super::TICK))
        });
        if is_due {
            self.pinged = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_sent_at_least_twice_per_watchdog_interval() {
        let watchdog = |ping_every| Systemd {
            ping_every,
            pinged: None,
            is_ready: false,
            is_stopping: false,
            status: String::new(),
        };
        let (mut systemd, start) = (watchdog(Some(Duration::from_secs(30))), Instant::now());
        let pings = (0..120).filter(|second| systemd.is_due(start + Duration::from_secs(*second)));
        assert_eq!(pings.count(), 5);
        assert!(!watchdog(None).is_due(start));
    }
}
