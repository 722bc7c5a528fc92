//! Whether Kafka answers for assigned partitions. A partition without a leader, or whose leader is unreachable, answers after half a
//! minute, and the loop must serve the other partitions meanwhile. So a task asks for its watermarks before the loop starts it.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the loop waits for the first answer. Usually it takes some milliseconds.
const FIRST_WAIT: Duration = Duration::from_secs(3);
/// The first and the longest delay after a failed attempt to start partitions. Each delay is twice the one before.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The question about the assigned partitions that are not started yet.
pub(super) struct Readiness {
    question: Option<JoinHandle<anyhow::Result<()>>>,
    is_ready: bool,
    retry_at: Instant,
    delay: Duration,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self { question: None, is_ready: false, retry_at: Instant::now(), delay: FIRST_DELAY }
    }

    /// Whether Kafka has answered. Asks a question if none is open, and waits a short time for the answer to the first one.
    ///
    /// # Errors
    /// The error of Kafka.
    pub(super) async fn ask<F>(&mut self, question: impl FnOnce() -> F) -> anyhow::Result<bool>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        if self.is_ready {
            return Ok(true);
        }
        let is_first = self.delay == FIRST_DELAY && self.question.is_none();
        let asked = self.question.get_or_insert_with(|| tokio::spawn(question()));
        let wait = if is_first { FIRST_WAIT } else { Duration::ZERO };
        let Ok(answer) = timeout(wait, asked).await else { return Ok(false) };
        self.question = None;
        answer??;
        self.is_ready = true;
        Ok(true)
    }

    /// Whether it makes sense to try again: no question is open, and the delay is over.
    pub(super) fn may_retry(&self) -> bool {
        let is_open = self.question.as_ref().is_some_and(|question| !question.is_finished());
        !is_open && Instant::now() >= self.retry_at
    }

    /// Kafka did not answer: the next attempt waits longer.
    pub(super) fn retry_later(&mut self) {
        self.is_ready = false;
        self.retry_at = Instant::now() + self.delay;
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
    }

    /// The partitions were started.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use anyhow::bail;
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_loop_waits_once_for_a_partition_without_a_leader() {
        let (start, mut readiness) = (Instant::now(), Readiness::new());
        let (answer, answered) = oneshot::channel::<()>();
        assert!(!readiness.ask(|| async { Ok(answered.await?) }).await.unwrap());
        assert!(!readiness.may_retry());
        answer.send(()).unwrap();
        tokio::task::yield_now().await;
        assert!(readiness.may_retry());
        // The answer to the first question counts, also later: no other one is asked.
        assert!(readiness.ask(pending).await.unwrap());
        assert!(readiness.ask(pending).await.unwrap());
        assert_eq!(start.elapsed(), FIRST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_error_the_loop_asks_less_often_and_does_not_wait() {
        let (start, mut readiness) = (Instant::now(), Readiness::new());
        assert!(readiness.ask(|| async { bail!("no leader") }).await.is_err());
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(readiness.delay, Duration::from_secs(seconds));
            readiness.retry_later();
            assert!(!readiness.may_retry());
        }
        assert!(!readiness.ask(pending).await.unwrap());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
