//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
pub use tokio_util::sync::CancellationToken;

/// How soon after the first signal another one is taken for the same.
const SAME_WISH: Duration = Duration::from_secs(1);

/// What a shell adds to a signal's number to make an exit code.
const SHELL_OFFSET: u8 = 128;

/// The signal that asked the program to end.
static RECEIVED: OnceLock<Received> = OnceLock::new();

/// Which signal was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Interrupt,
    Terminate,
}

impl Received {
    /// The exit code of a program that the signal ended: 130 or 143, as shells count.
    const fn exit_code(self) -> u8 {
        SHELL_OFFSET
            + match self {
                Self::Interrupt => 2,
                Self::Terminate => 15,
            }
    }
}

/// The exit code of a program whose work a signal cut short: 143 after SIGTERM, else 130.
#[must_use]
pub fn exit_code() -> u8 {
    RECEIVED.get().copied().unwrap_or(Received::Interrupt).exit_code()
}

/// A token that is cancelled at the first SIGTERM or SIGINT.
///
/// # Errors
/// When the process can't listen for signals.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't listen for SIGINT")?;
    let asked = token.clone();
    tokio::spawn(async move {
        let received = either(&mut terminate, &mut interrupt).await;
        RECEIVED.get_or_init(|| received);
        // Before it is logged: nothing about the log may keep the program from ending.
        asked.cancel();
        tracing::info!("stopping after the work in hand; a second signal stops at once");
        // What comes at once is the same wish: `timeout` and terminals signal the program and its group.
        sleep(SAME_WISH).await;
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
