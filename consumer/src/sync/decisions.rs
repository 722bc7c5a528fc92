//! The verdicts topic. It is read to its end before anything is applied, then followed, and what the
//! database decided is published until Kafka has it: an outage only delays that.

use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::verdict::Verdict;
use rdkafka::consumer::Consumer;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use sqlx::PgPool;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::binding;
use crate::books::outbox;
use crate::books::verdict_reader::Reader;
use crate::consume::caught_up;
use crate::database::in_words;

/// How long Kafka may take to tell of the topic.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the outbox is looked into.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait after something failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long the last verdicts may take to be published when the program ends.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// The verdicts topic and the tables that mirror it.
#[derive(Clone)]
pub(crate) struct VerdictLog {
    kafka: KafkaArgs,
    topic: String,
    pool: PgPool,
}

impl VerdictLog {
    pub(crate) fn new(kafka: &KafkaArgs, pool: &PgPool) -> Self {
        Self { kafka: kafka.clone(), topic: kafka.topics().verdicts(), pool: pool.clone() }
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// A producer for a few records: runs end rarely, and one that has failed for good is not kept so.
    fn producer(&self) -> anyhow::Result<FutureProducer<LogContext>> {
        let config = self.kafka.client_config(&[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // As all producers of these topics, so that a key has one partition.
            ("partitioner", "murmur2_random"),
            ("linger.ms", "0"),
        ])?;
        kafka::create(&config, LogContext::default())
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
        let producer = self.producer()?;
        for verdict in verdicts {
            let (key, value) = (verdict.key(), serde_json::to_vec(&verdict)?);
            let record = FutureRecord::to(&self.topic).key(&key).payload(&value);
            let sent = producer.send(record, Timeout::Never).await;
            sent.map_err(|(error, _)| error).with_context(|| format!("can't publish to {}", self.topic))?;
            outbox::mark_published(&self.pool, &verdict).await?;
            tracing::debug!(key, state = verdict.state().name(), "verdict published");
        }
        Ok(())
    }

    /// Publishes for a program that is about to end; tells whether all is published.
    pub(crate) async fn publish_now(&self) -> bool {
        let error = match timeout(LAST_PATIENCE, self.publish_if_any()).await {
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
        if self.partitions().await? == 0 {
            bail!("there is no topic {}", self.topic);
        }
        binding::check_now(&mut *self.pool.acquire().await?, &self.kafka).await?;
        self.publish().await
    }

    /// How many partitions the topic has; none where there is no such topic.
    async fn partitions(&self) -> anyhow::Result<i32> {
        let watcher = caught_up::watcher(&self.kafka)?;
        // Of all topics: to ask for one by name would make it, where the broker is set up so.
        let ask = move || watcher.fetch_metadata(None, PATIENCE);
        let metadata = spawn_blocking(ask).await?.context("Kafka can't be reached")?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        Ok(topic.map_or(Ok(0), |topic| i32::try_from(topic.partitions().len()))?)
    }

    /// Reads the topic from its beginning to its end; none where there is no such topic.
    async fn read(&self) -> anyhow::Result<Option<Reader>> {
        let Some((reader, said)) = self.read_to_end().await? else { return Ok(None) };
        outbox::follow(&self.pool, &said).await?;
        Ok(Some(reader))
    }

    async fn read_to_end(&self) -> anyhow::Result<Option<(Reader, Vec<Verdict>)>> {
        let partitions = self.partitions().await?;
        if partitions == 0 {
            return Ok(None);
        }
        let reader = Reader::open(&self.kafka, &self.topic, partitions)?;
        let said = reader.read_to_end(partitions).await?;
        Ok(Some((reader, said)))
    }

    /// The last verdict of each run that the topic still has. Writes nothing.
    ///
    /// # Errors
    /// What Kafka said.
    pub(crate) async fn verdicts(&self) -> anyhow::Result<Vec<Verdict>> {
        Ok(self.read_to_end().await?.map(|(_, said)| said).unwrap_or_default())
    }

    /// Takes over what the topic says now.
    ///
    /// # Errors
    /// What the database or Kafka said.
    pub(crate) async fn mirror(&self) -> anyhow::Result<()> {
        self.read().await.map(drop)
    }

    /// [`VerdictLog::read`] until it succeeds.
    async fn read_at_last(&self) -> Option<Reader> {
        loop {
            match self.read().await {
                Ok(reader) => return reader,
                Err(error) => self.trouble("can't read", &error).await,
            }
        }
    }

    /// Follows the topic and publishes, for ever.
    async fn keep(&self, mut reader: Option<Reader>) {
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
        tracing::warn!(error = in_words(error), "{what} the topic {}; trying again", self.topic);
        sleep(RETRY_AFTER).await;
    }
}

async fn next(reader: Option<&Reader>) -> Verdict {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}

/// Keeps topic and table the same while the program runs.
pub(crate) struct Keeper {
    log: VerdictLog,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Reads the topic to its end, however long Kafka takes, and goes on from there in the background.
    pub(crate) async fn start(kafka: &KafkaArgs, pool: &PgPool, shutdown: &CancellationToken) -> Self {
        let log = VerdictLog::new(kafka, pool);
        let reader = shutdown.run_until_cancelled(log.read_at_last()).await.flatten();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (log, stop) = (log.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(log.keep(reader)).await;
            }
        });
        Self { log, stop, task }
    }

    /// Ends, after a last attempt to publish what is left.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        // It has no result, and a panic has been told.
        let _ = self.task.await;
        self.log.publish_now().await;
    }
}
