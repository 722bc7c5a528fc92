//! The partitions of the data topics, and their watermarks.

use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::watermarks;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use thiserror::Error;
use tokio::task::spawn_blocking;

use crate::model::topic::{TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;

/// A data topic does not exist, or Kafka hides it because this user may not describe it.
#[derive(Debug, Error)]
#[error("there is no topic {0}: crawl a region first, with the same --topic-prefix")]
pub(crate) struct NoTopic(String);

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

/// Every partition of the data topics.
///
/// # Errors
/// [`NoTopic`] for a data topic that is missing, or if Kafka does not answer.
pub(crate) async fn data_partitions(kafka: &KafkaArgs) -> anyhow::Result<Vec<TopicPartition>> {
    let watcher = watcher(kafka)?;
    let metadata = spawn_blocking(move || watcher.fetch_metadata(None, METADATA_TIMEOUT)).await?;
    let metadata = metadata.context("Kafka is unreachable")?;
    let topics = kafka.topics();
    let mut topic_partitions = Vec::new();
    for kind in TopicKind::ALL {
        let name = kind.topic(&topics);
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            if kind == TopicKind::DeadLetters {
                continue;
            }
            bail!(NoTopic(name));
        };
        let topic_partition = |partition| TopicPartition { kind, topic: name.clone(), partition };
        topic_partitions.extend(topic.partitions().iter().map(|partition| topic_partition(partition.id())));
    }
    Ok(topic_partitions)
}
