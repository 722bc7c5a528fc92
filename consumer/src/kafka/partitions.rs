//! The watermarks of partitions, and the client that asks for them.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::watermarks;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::task::spawn_blocking;

use crate::model::topic::TopicPartition;
use crate::model::watermarks::Watermarks;

/// How long Kafka may take to list its topics.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that reads the real end of partitions, including open transactions. For a reader of committed records a
/// partition ends where the first open transaction begins.
pub(crate) fn watcher(kafka: &KafkaArgs) -> anyhow::Result<BaseConsumer<LogContext>> {
    // Without a group: closing a consumer that has one takes at least a tenth of a second.
    let config = kafka.reader_config(&[("isolation.level", "read_uncommitted")])?;
    kafka::create(&config, LogContext::default())
}

/// A list of one partition.
pub(crate) fn list(topic_partition: &TopicPartition) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&topic_partition.topic, topic_partition.partition);
    list
}

/// Fetches the metadata of a topic. `rd_kafka_clusterid` and `rd_kafka_list_groups` wait for a client's first metadata, but
/// its arrival does not wake them: without this they return up to a second late. Returns whether the topic exists. Blocks.
///
/// # Errors
/// If Kafka does not answer.
pub(crate) fn await_metadata<C: ClientContext>(client: &Client<C>, topic: &str) -> anyhow::Result<bool> {
    let metadata = client.fetch_metadata(Some(topic), METADATA_TIMEOUT).context("Kafka is unreachable")?;
    Ok(metadata.topics().iter().any(|found| found.name() == topic && found.error().is_none()))
}

/// The watermarks of some partitions.
pub(crate) async fn watermarks(
    kafka: &KafkaArgs,
    topic_partitions: Vec<TopicPartition>,
) -> anyhow::Result<Vec<(TopicPartition, Watermarks)>> {
    let watcher = watcher(kafka)?;
    let read = move || {
        topic_partitions.into_iter().map(|topic_partition| measure(&watcher, topic_partition)).collect()
    };
    spawn_blocking(read).await?
}

fn measure(
    watcher: &BaseConsumer<LogContext>,
    topic_partition: TopicPartition,
) -> anyhow::Result<(TopicPartition, Watermarks)> {
    let (low, high) = watermarks::watermarks(watcher, &topic_partition.topic, topic_partition.partition)
        .with_context(|| format!("can't read the end of {topic_partition}"))?;
    Ok((topic_partition, Watermarks { low, high }))
}
