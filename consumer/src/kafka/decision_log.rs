//! The topic of decisions (its name says `verdicts`): publishing to it, and reading it to its end.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::verdict::Verdict;
use rdkafka::consumer::Consumer;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::task::spawn_blocking;

use crate::kafka::decision_reader::DecisionReader;
use crate::kafka::partitions;

/// How long Kafka may take to describe the topic.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The topic of decisions.
#[derive(Clone)]
pub(crate) struct DecisionLog {
    kafka: KafkaArgs,
    topic: String,
}

impl DecisionLog {
    pub(crate) fn new(kafka: &KafkaArgs) -> Self {
        Self { kafka: kafka.clone(), topic: kafka.topics().verdicts() }
    }

    /// Where Kafka is.
    pub(crate) const fn kafka(&self) -> &KafkaArgs {
        &self.kafka
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// A producer for a few records: runs end rarely, and one that has failed for good is not kept so.
    pub(crate) fn producer(&self) -> anyhow::Result<FutureProducer<LogContext>> {
        let config = self.kafka.client_config(&[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // As all producers of these topics, so that a key has one partition.
            ("partitioner", "murmur2_random"),
            ("linger.ms", "0"),
        ])?;
        kafka::create(&config, LogContext::default())
    }

    /// Publishes a verdict.
    ///
    /// # Errors
    /// What Kafka said.
    pub(crate) async fn publish(
        &self,
        producer: &FutureProducer<LogContext>,
        verdict: &Verdict,
    ) -> anyhow::Result<()> {
        let (key, value) = (verdict.key(), serde_json::to_vec(verdict)?);
        let record = FutureRecord::to(&self.topic).key(&key).payload(&value);
        let sent = producer.send(record, Timeout::Never).await;
        sent.map_err(|(error, _)| error).with_context(|| format!("can't publish to {}", self.topic))?;
        Ok(())
    }

    /// How many partitions the topic has; none where there is no such topic.
    pub(crate) async fn partitions(&self) -> anyhow::Result<i32> {
        let watcher = partitions::watcher(&self.kafka)?;
        // Of all topics: to ask for one by name would make it, where the broker is set up so.
        let ask = move || watcher.fetch_metadata(None, TIMEOUT);
        let metadata = spawn_blocking(ask).await?.context("Kafka is unreachable")?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        Ok(topic.map_or(Ok(0), |topic| i32::try_from(topic.partitions().len()))?)
    }

    /// Reads the topic from its beginning to its end: the last verdict of each run, and a reader that goes on from there.
    /// None where there is no such topic.
    pub(crate) async fn read_to_end(&self) -> anyhow::Result<Option<(DecisionReader, Vec<Verdict>)>> {
        let partitions = self.partitions().await?;
        if partitions == 0 {
            return Ok(None);
        }
        let reader = DecisionReader::open(&self.kafka, &self.topic, partitions)?;
        let said = reader.read_to_end(partitions).await?;
        Ok(Some((reader, said)))
    }
}
