//! Requests that are held until a test lets them go.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::log::ReceivedRequest;
use super::matcher::Matcher;

/// Holds requests before they are answered. The answer is computed after the hold, from the catalog as it is then.
/// Dropping the gate opens it.
#[must_use = "a gate that is dropped holds nothing"]
pub struct Gate {
    held: Arc<Held>,
    arrivals: mpsc::UnboundedReceiver<ReceivedRequest>,
}

struct Held {
    matcher: Matcher,
    arrivals: mpsc::UnboundedSender<ReceivedRequest>,
    passes: Semaphore,
    open: CancellationToken,
}

impl Gate {
    /// Waits until the next request is held, and returns it. Each held request is returned once.
    pub async fn arrived(&mut self) -> ReceivedRequest {
        match self.arrivals.recv().await {
            Some(request) => request,
            // Can't happen: the gate itself keeps a sender alive.
            None => std::future::pending().await,
        }
    }

    /// Lets `n` requests through, held ones first, and then continues to hold.
    pub fn pass(&self, n: usize) {
        self.held.passes.add_permits(n);
    }

    /// Lets everything through, now and later.
    pub fn release(self) {
        self.held.open.cancel();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.held.open.cancel();
    }
}

/// All gates of a mock server.
#[derive(Default)]
pub(super) struct Gates {
    gates: Mutex<Vec<Arc<Held>>>,
}

impl Gates {
    pub(super) fn hold(&self, matcher: Matcher) -> Gate {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let held = Arc::new(Held {
            matcher,
            arrivals: sender,
            passes: Semaphore::new(0),
            open: CancellationToken::new(),
        });
        self.gates.lock().push(Arc::clone(&held));
        Gate { held, arrivals }
    }

    /// Returns when no gate holds this request.
    pub(super) async fn pass(&self, request: &ReceivedRequest) {
        for gate in self.closed_to(request) {
            // The gate may have been dropped since; then it is open.
            let _ = gate.arrivals.send(request.clone());
            tokio::select! {
                () = gate.open.cancelled() => {}
                permit = gate.passes.acquire() => if let Ok(permit) = permit { permit.forget() },
            }
        }
    }

    fn closed_to(&self, request: &ReceivedRequest) -> Vec<Arc<Held>> {
        let mut gates = self.gates.lock();
        gates.retain(|gate| !gate.open.is_cancelled());
        gates.iter().filter(|gate| gate.matcher.matches(request)).cloned().collect()
    }
}
