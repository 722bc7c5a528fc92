//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once.

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
pub use tokio_util::sync::CancellationToken;

/// The exit code of a program that a second signal ended, as shells count SIGINT.
const INTERRUPTED: i32 = 130;

/// How soon after the first signal another one is taken for the same.
const SAME_WISH: Duration = Duration::from_secs(1);

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
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping after the work in hand; a second signal stops at once");
        asked.cancel();
        // What comes at once is the same wish: `timeout` and terminals signal the program and its group.
        sleep(SAME_WISH).await;
        tokio::select! {
            biased;
            () = either(&mut terminate, &mut interrupt) => {}
            () = std::future::ready(()) => {}
        }
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(INTERRUPTED);
    });
    Ok(token)
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
