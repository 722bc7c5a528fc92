//! The topic of decisions, whose name is `verdicts`: publishing to it and reading it to its end.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::decision::RunDecision;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::Consumer;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::task::spawn_blocking;

use crate::kafka::decision_reader::DecisionReader;
use crate::kafka::partitions;

/// Timeout of a metadata request.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// How to reach Kafka.
    pub(crate) const fn kafka(&self) -> &KafkaArgs {
        &self.kafka
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// A new producer for a few records. It is not kept, because runs end rarely and a producer may fail fatally.
    pub(crate) fn producer(&self) -> anyhow::Result<FutureProducer<LogContext>> {
        let config = self.kafka.client_config(&[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // The same partitioner as for the other topics, so that a key always has the same partition.
            ("partitioner", "murmur2_random"),
            ("linger.ms", "0"),
        ])?;
        kafka::create(&config, LogContext::default())
    }

    /// Publishes a decision.
    ///
    /// # Errors
    /// The error of Kafka.
    pub(crate) async fn publish(
        &self,
        producer: &FutureProducer<LogContext>,
        decision: &RunDecision,
    ) -> anyhow::Result<()> {
        let (key, value) = (decision.key(), serde_json::to_vec(decision)?);
        let record = FutureRecord::to(&self.topic).key(&key).payload(&value);
        let sent = producer.send(record, Timeout::Never).await;
        sent.map_err(|(error, _)| error).with_context(|| format!("can't publish to {}", self.topic))?;
        Ok(())
    }

    /// The number of partitions; 0 if the topic does not exist.
    pub(crate) async fn partitions(&self) -> anyhow::Result<i32> {
        let watcher = partitions::watcher(&self.kafka)?;
        // Metadata of all topics, because a request by name may create the topic (auto.create.topics.enable).
        let ask = move || watcher.fetch_metadata(None, METADATA_TIMEOUT);
        let metadata = spawn_blocking(ask).await?.context("Kafka is unreachable")?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        Ok(topic.map_or(Ok(0), |topic| i32::try_from(topic.partitions().len()))?)
    }

    /// Reads the topic from its beginning to its end. Returns the last decision of each run, and a reader that continues
    /// from there. `None` if the topic does not exist.
    pub(crate) async fn read_to_end(&self) -> anyhow::Result<Option<(DecisionReader, Vec<RunDecision>)>> {
        let partitions = self.partitions().await?;
        if partitions == 0 {
            return Ok(None);
        }
        let reader = DecisionReader::open(&self.kafka, &self.topic, partitions).await?;
        let decisions = reader.read_to_end(partitions).await;
        let decisions = decisions.with_context(|| format!("can't read {}", self.topic))?;
        Ok(Some((reader, decisions)))
    }
}
