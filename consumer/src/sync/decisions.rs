//! The verdicts topic. It is read to its end before anything is applied, then followed, and what the
//! database decided is published until Kafka has it: an outage only delays that.

use std::time::Duration;

use anyhow::bail;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::verdict::Verdict;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::kafka::decision_log::DecisionLog;
use crate::kafka::decision_reader::DecisionReader;
use crate::store::database::in_words;
use crate::store::outbox;
use crate::sync::source_check;

/// How often the outbox is looked into.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait after something failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long the last verdicts may take to be published when the program ends.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// The verdicts topic and the tables that mirror it.
#[derive(Clone)]
pub(crate) struct DecisionSync {
    log: DecisionLog,
    pool: PgPool,
}

impl DecisionSync {
    pub(crate) fn new(kafka: &KafkaArgs, pool: &PgPool) -> Self {
        Self { log: DecisionLog::new(kafka), pool: pool.clone() }
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        self.log.topic()
    }

    /// Publishes all that the topic does not say yet. An unfinished call is safe to repeat: the last record
    /// of a key counts.
    ///
    /// # Errors
    /// What the database or Kafka said; the rest stays in the outbox.
    async fn publish(&self) -> anyhow::Result<()> {
        let verdicts = outbox::unpublished(&self.pool).await?;
        if verdicts.is_empty() {
            return Ok(());
        }
        let producer = self.log.producer()?;
        for verdict in verdicts {
            self.log.publish(&producer, &verdict).await?;
            outbox::mark_published(&self.pool, &verdict).await?;
            tracing::debug!(key = verdict.key(), state = verdict.state().name(), "verdict published");
        }
        Ok(())
    }

    /// Publishes for a program that is about to end; tells whether all is published.
    pub(crate) async fn publish_now(&self) -> bool {
        let error = match timeout(LAST_TIMEOUT, self.publish_if_any()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => in_words(&error),
            Err(_) => "Kafka does not answer".to_owned(),
        };
        tracing::warn!(error, "verdicts are not published yet; a running consumer or the next start goes on");
        false
    }

    async fn publish_if_any(&self) -> anyhow::Result<()> {
        if outbox::unpublished(&self.pool).await?.is_empty() {
            return Ok(());
        }
        if self.log.partitions().await? == 0 {
            bail!("there is no topic {}", self.topic());
        }
        source_check::check_now(&mut *self.pool.acquire().await?, self.log.kafka()).await?;
        self.publish().await
    }

    /// Reads the topic from its beginning to its end; none where there is no such topic.
    async fn read(&self) -> anyhow::Result<Option<DecisionReader>> {
        let Some((reader, said)) = self.log.read_to_end().await? else { return Ok(None) };
        outbox::follow(&self.pool, &said).await?;
        Ok(Some(reader))
    }

    /// The last verdict of each run that the topic still has. Writes nothing.
    ///
    /// # Errors
    /// What Kafka said.
    pub(crate) async fn verdicts(&self) -> anyhow::Result<Vec<Verdict>> {
        Ok(self.log.read_to_end().await?.map(|(_, said)| said).unwrap_or_default())
    }

    /// Takes over what the topic says now.
    ///
    /// # Errors
    /// What the database or Kafka said.
    pub(crate) async fn mirror(&self) -> anyhow::Result<()> {
        self.read().await.map(drop)
    }

    /// [`DecisionSync::read`] until it succeeds.
    async fn read_at_last(&self) -> Option<DecisionReader> {
        loop {
            match self.read().await {
                Ok(reader) => return reader,
                Err(error) => self.trouble("can't read", &error).await,
            }
        }
    }

    /// Follows the topic and publishes, for ever.
    async fn keep(&self, mut reader: Option<DecisionReader>) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                said = next(reader.as_ref()) => self.follow(said).await,
                _ = look.tick() => {
                    if reader.is_none() {
                        // A producer makes the topic; nothing is published before.
                        reader = self.read_at_last().await;
                    } else if let Err(error) = self.publish().await {
                        self.trouble("can't publish to", &error).await;
                    }
                }
            }
        }
    }

    async fn follow(&self, said: Verdict) {
        while let Err(error) = outbox::follow(&self.pool, std::slice::from_ref(&said)).await {
            self.trouble("can't follow", &error).await;
        }
    }

    async fn trouble(&self, what: &str, error: &anyhow::Error) {
        tracing::warn!(error = in_words(error), "{what} the topic {}; trying again", self.topic());
        sleep(RETRY_AFTER).await;
    }
}

async fn next(reader: Option<&DecisionReader>) -> Verdict {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}

/// Keeps topic and table the same while the program runs.
pub(crate) struct DecisionSyncTask {
    decisions: DecisionSync,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl DecisionSyncTask {
    /// Reads the topic to its end, however long Kafka takes, and goes on from there in the background.
    pub(crate) async fn start(kafka: &KafkaArgs, pool: &PgPool, shutdown: &CancellationToken) -> Self {
        let decisions = DecisionSync::new(kafka, pool);
        let reader = shutdown.run_until_cancelled(decisions.read_at_last()).await.flatten();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (decisions, stop) = (decisions.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(decisions.keep(reader)).await;
            }
        });
        Self { decisions, stop, task }
    }

    /// Ends, after a last attempt to publish what is left.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // It has no result, and a panic has been told.
        let _ = self.task.await;
        self.decisions.publish_now().await;
    }
}
