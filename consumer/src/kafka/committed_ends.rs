//! The ends of committed records. Where a transaction is open, they end before it.

use std::time::Duration;

use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::task::spawn_blocking;

use crate::model::topic::{PartitionId, TopicPartition};

/// How long Kafka may take to answer for a partition.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The ends of some partitions. A partition whose end can't be read is left out, because its leader may be down alone.
///
/// # Errors
/// If Kafka does not answer at all, or librdkafka refuses a setting.
pub(crate) async fn read(
    kafka: &KafkaArgs,
    topic_partitions: Vec<TopicPartition>,
) -> anyhow::Result<Vec<(PartitionId, i64)>> {
    let config = kafka.client_config(&[
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("allow.auto.create.topics", "false"),
    ])?;
    let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
    spawn_blocking(move || read_blocking(&client, &topic_partitions)).await?
}

fn read_blocking(
    client: &BaseConsumer<LogContext>,
    topic_partitions: &[TopicPartition],
) -> anyhow::Result<Vec<(PartitionId, i64)>> {
    let Some(first) = topic_partitions.first() else { return Ok(Vec::new()) };
    client.fetch_metadata(Some(&first.topic), TIMEOUT)?;
    let end = |topic_partition: &TopicPartition| {
        let marks = client.fetch_watermarks(&topic_partition.topic, topic_partition.partition, TIMEOUT);
        Some((topic_partition.id(), marks.ok()?.1))
    };
    Ok(topic_partitions.iter().filter_map(end).collect())
}
