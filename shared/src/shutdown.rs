//! SIGTERM and SIGINT: the first one starts a graceful shutdown, the second one exits at once.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::events;
pub use tokio_util::sync::CancellationToken;

/// Signals within this time after the first one count as the same.
const REPEAT_WINDOW: Duration = Duration::from_secs(1);

/// What shells add to the number of a signal to get the exit code.
const SHELL_OFFSET: u8 = 128;

/// The signal that started the shutdown.
static RECEIVED: OnceLock<Received> = OnceLock::new();

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Interrupt,
    Terminate,
}

impl Received {
    /// The exit code of a program that the signal ended: 130 or 143.
    const fn exit_code(self) -> u8 {
        SHELL_OFFSET
            + match self {
                Self::Interrupt => 2,
                Self::Terminate => 15,
            }
    }
}

/// The exit code of a program that a signal interrupted: 143 after SIGTERM, otherwise 130.
#[must_use]
pub fn exit_code() -> u8 {
    RECEIVED.get().copied().unwrap_or(Received::Interrupt).exit_code()
}

/// A token that is cancelled at the first SIGTERM or SIGINT.
///
/// # Errors
/// If the process can't listen for signals.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        let received = either(&mut terminate, &mut interrupt).await;
        RECEIVED.get_or_init(|| received);
        // Before logging, because the log must not delay the shutdown.
        cancelled.cancel();
        tracing::info!(
            event = events::SHUTTING_DOWN,
            "shutting down after the work in flight; a second signal exits at once"
        );
        // A signal that follows immediately is the same: `timeout` and terminals signal both the program and its group.
        sleep(REPEAT_WINDOW).await;
        tokio::select! {
            biased;
            _ = either(&mut terminate, &mut interrupt) => {}
            () = std::future::ready(()) => {}
        }
        let second = either(&mut terminate, &mut interrupt).await;
        std::process::exit(second.exit_code().into());
    });
    Ok(token)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> Received {
    tokio::select! {
        _ = terminate.recv() => Received::Terminate,
        _ = interrupt.recv() => Received::Interrupt,
    }
}
