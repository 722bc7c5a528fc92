//! Keeps the decisions topic (`verdicts`) and the table of decisions in sync. The topic is read to its end before any
//! batch is applied, and followed from then on. Decisions of this database are published from an outbox, with retries.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use catalog_shared::decision::RunDecision;
use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::shutdown::CancellationToken;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::config::thresholds::AnswerLimits;
use crate::kafka::decision_log::DecisionLog;
use crate::kafka::decision_reader::DecisionReader;
use crate::kafka::errors;
use crate::store::answer_limit::within;
use crate::store::database::format_error;
use crate::store::published_decisions::PublishedDecisions;
use crate::store::{db_error, outbox};
use crate::sync::source_check;

/// Interval between two reads of the outbox.
const OUTBOX_INTERVAL: Duration = Duration::from_millis(500);
/// Delay before a retry.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// Delay before the next look for a missing topic. Each look needs a new client.
const MISSING_TOPIC_DELAY: Duration = Duration::from_secs(10);
/// Timeout of the last publication when the program ends.
const FINAL_PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The decisions topic and the table that mirrors it.
#[derive(Clone)]
pub(crate) struct DecisionSync {
    log: DecisionLog,
    pool: PgPool,
    published: Arc<PublishedDecisions>,
}

impl DecisionSync {
    pub(crate) fn new(kafka: &KafkaArgs, pool: &PgPool) -> Self {
        Self { log: DecisionLog::new(kafka), pool: pool.clone(), published: Arc::default() }
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        self.log.topic()
    }

    /// Publishes the outbox. A call that failed halfway can be repeated, because the last record of a key counts.
    ///
    /// # Errors
    /// The error of the database or Kafka. Unpublished decisions stay in the outbox.
    async fn publish(&self) -> anyhow::Result<()> {
        let decisions = answered(outbox::unpublished(&self.pool)).await?;
        if decisions.is_empty() {
            return Ok(());
        }
        let producer = self.log.producer()?;
        for decision in decisions {
            if self.published.has_more_than(&decision) {
                answered(outbox::merge(&self.pool, &self.published.all())).await?;
                continue;
            }
            // If only the mark is missing, the record is not sent again.
            if !self.published.contains(&decision) {
                self.log.publish(&producer, &decision).await?;
            }
            answered(outbox::mark_published(&self.pool, &decision)).await?;
            tracing::debug!(
                event = events::DECISION_PUBLISHED,
                key = decision.key(),
                state = decision.state().name(),
                "decision published"
            );
        }
        Ok(())
    }

    /// Publishes the outbox before the program ends. Returns whether every decision is published.
    pub(crate) async fn publish_now(&self) -> bool {
        let error = match timeout(FINAL_PUBLISH_TIMEOUT, self.publish_pending()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => format_error(&error),
            Err(_) => "timed out".to_owned(),
        };
        tracing::warn!(
            event = events::DECISIONS_UNPUBLISHED,
            error,
            "decisions are not published yet; a running consumer or the next start publishes them"
        );
        false
    }

    async fn publish_pending(&self) -> anyhow::Result<()> {
        if outbox::unpublished(&self.pool).await?.is_empty() {
            return Ok(());
        }
        if self.log.partitions().await? == 0 {
            bail!("the topic {} does not exist", self.topic());
        }
        source_check::check_now(&mut *self.pool.acquire().await?, self.log.kafka()).await?;
        self.publish().await
    }

    /// Reads the topic from its beginning to its end and merges it. `None` if the topic does not exist.
    async fn read_topic(&self) -> anyhow::Result<Option<DecisionReader>> {
        let Some((reader, published)) = self.log.read_to_end().await? else { return Ok(None) };
        self.published.learn(&published);
        answered(outbox::merge(&self.pool, &published)).await?;
        Ok(Some(reader))
    }

    /// The last decision of each run in the topic. Writes nothing.
    ///
    /// # Errors
    /// The error of Kafka.
    pub(crate) async fn decisions(&self) -> anyhow::Result<Vec<RunDecision>> {
        Ok(self.log.read_to_end().await?.map(|(_, published)| published).unwrap_or_default())
    }

    /// Merges the topic's current contents into the table.
    ///
    /// # Errors
    /// The error of the database or Kafka.
    pub(crate) async fn mirror(&self) -> anyhow::Result<()> {
        self.read_topic().await.map(drop)
    }

    /// Like [`DecisionSync::read_topic`], with retries while Kafka or the database is down.
    ///
    /// # Errors
    /// An error that no retry solves, such as a missing right or a dropped table.
    async fn read_with_retries(&self) -> anyhow::Result<Option<DecisionReader>> {
        loop {
            match self.read_topic().await {
                Err(error) if is_retried(&error) => self.log_and_wait("can't read", &error).await,
                read => return read,
            }
        }
    }

    /// Looks for the topic once. An error is logged, and the next look is the retry.
    async fn look(&self) -> Option<DecisionReader> {
        match self.read_topic().await {
            Ok(reader) => reader,
            Err(error) => {
                self.log_and_wait("can't read", &error).await;
                None
            }
        }
    }

    /// Follows the topic and publishes the outbox, until it is cancelled. A producer creates the topic. Until then nothing is
    /// published.
    async fn run(&self, reader: Option<DecisionReader>) {
        let reader = match reader {
            Some(reader) => reader,
            None => until_found(|| self.look()).await,
        };
        let (mut tick, mut unmerged) = (interval(OUTBOX_INTERVAL), Vec::new());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order, so that what was read meanwhile is known before anything is published.
            tokio::select! {
                biased;
                decision = reader.next() => {
                    self.published.learn(std::slice::from_ref(&decision));
                    unmerged.push(decision);
                }
                () = self.published.recheck_due() => unmerged = self.published.all(),
                _ = tick.tick() => self.merge_and_publish(&mut unmerged).await,
            }
        }
    }

    async fn merge_and_publish(&self, unmerged: &mut Vec<RunDecision>) {
        match answered(outbox::merge(&self.pool, unmerged)).await {
            Ok(()) => unmerged.clear(),
            Err(error) => return self.log_and_wait("can't follow", &error).await,
        }
        if let Err(error) = self.publish().await {
            self.log_and_wait("can't publish to", &error).await;
        }
    }

    async fn log_and_wait(&self, what: &str, error: &anyhow::Error) {
        tracing::warn!(
            event = events::DECISIONS_RETRIED,
            error = format_error(error),
            "{what} the topic {}, retrying",
            self.topic()
        );
        sleep(RETRY_DELAY).await;
    }
}

fn is_retried(error: &anyhow::Error) -> bool {
    errors::is_retried(error) || db_error::is_transient(error)
}

/// A question to the database. It may wait for the schema lock.
async fn answered<T, E: From<sqlx::Error>>(question: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    within(AnswerLimits::DEFAULT.lock, question).await
}

/// Looks for the topic, which is missing, until it exists. Waits before each look.
async fn until_found<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    loop {
        sleep(MISSING_TOPIC_DELAY).await;
        if let Some(found) = look().await {
            return found;
        }
    }
}

/// The background task that keeps topic and table in sync.
pub(crate) struct DecisionSyncTask {
    decisions: DecisionSync,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl DecisionSyncTask {
    /// Reads the topic to its end, with retries, and continues from there in the background.
    ///
    /// # Errors
    /// An error of Kafka or the database that no retry solves.
    pub(crate) async fn start(
        kafka: &KafkaArgs,
        pool: &PgPool,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let decisions = DecisionSync::new(kafka, pool);
        let reader = shutdown.run_until_cancelled(decisions.read_with_retries()).await.transpose()?.flatten();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (decisions, stop) = (decisions.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(decisions.run(reader)).await;
            }
        });
        Ok(Self { decisions, stop, task })
    }

    /// What the task has read.
    pub(crate) fn published(&self) -> Arc<PublishedDecisions> {
        Arc::clone(&self.decisions.published)
    }

    /// Stops the task, after a last attempt to publish the outbox.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // The task has no result, and the panic hook logs a panic.
        let _ = self.task.await;
        self.decisions.publish_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_missing_topic_is_looked_for_every_ten_seconds() {
        let (start, looks) = (Instant::now(), RefCell::new([None, None, Some("the topic")].into_iter()));
        let found = until_found(|| ready(looks.borrow_mut().next().flatten())).await;
        assert_eq!((found, start.elapsed()), ("the topic", Duration::from_secs(30)));
    }
}
