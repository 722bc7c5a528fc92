//! Starts the processes that a test needs besides the programs.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The timeout for a process to become ready.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts a process, which ends when it is dropped. Returns when its log on standard error contains `ready`.
///
/// # Errors
/// If it does not start; the error contains its log.
pub(super) async fn start(mut command: Command, ready: &str) -> Result<Child> {
    command.kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().with_context(|| format!("can't start {:?}", command.as_std()))?;
    let stderr = process.stderr.take().context("standard error is piped")?;
    let mut log = BufReader::new(stderr).lines();
    let mut reported = String::new();
    while !reported.contains(ready) {
        let line = timeout(LIMIT, log.next_line()).await??;
        reported.push_str(&line.with_context(|| format!("it did not start:\n{reported}"))?);
        reported.push('\n');
    }
    // Otherwise it would block once its log pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    Ok(process)
}
