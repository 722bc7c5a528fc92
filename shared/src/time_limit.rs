//! Work with a time limit, on a thread of its own.

use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The work did not end in time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no result within {} s", .0.as_secs_f64())]
pub struct TimedOut(pub Duration);

/// Runs work on a thread with its own runtime, for at most `limit`. Requests of librdkafka block, and can't be cancelled. On
/// its own thread, work that is too slow delays neither other work nor the end of the program.
///
/// # Errors
/// [`TimedOut`], or the error of the work.
pub async fn within<T, F>(limit: Duration, work: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
            let result = runtime.block_on(work());
            // Otherwise the end of the runtime waits for requests in progress.
            runtime.shutdown_background();
            result
        });
        // The receiver is dropped after a timeout.
        let _ = sender.send(result);
    });
    match timeout(limit, receiver).await {
        Ok(result) => result?,
        Err(_) => Err(TimedOut(limit).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_blocks_is_left_behind() {
        let (release, blocked) = mpsc::channel::<()>();
        let late = within(Duration::from_millis(1), move || async move { Ok(blocked.recv()?) }).await;
        assert!(late.unwrap_err().is::<TimedOut>());
        drop(release);
    }

    #[tokio::test]
    async fn results_and_errors_are_passed_on() {
        let limit = Duration::from_secs(60);
        assert_eq!(within(limit, || async { Ok(7) }).await.unwrap(), 7);
        let failed = within(limit, || async { Err::<(), _>(anyhow::anyhow!("broken")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "broken");
    }
}
