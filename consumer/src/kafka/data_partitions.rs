//! The partitions of the data topics.

use anyhow::{Context, bail};
use catalog_shared::kafka::KafkaArgs;
use rdkafka::consumer::Consumer;
use thiserror::Error;

use crate::kafka::kept_client::KeptClient;
use crate::kafka::partitions::METADATA_TIMEOUT;
use crate::model::topic::{TopicKind, TopicPartition};

/// A data topic does not exist, or Kafka hides it because this user may not describe it.
#[derive(Debug, Error)]
#[error("there is no topic {0}: crawl a region first, with the same --topic-prefix")]
pub(crate) struct NoTopic(String);

/// Every partition of the data topics.
///
/// # Errors
/// [`NoTopic`] for a data topic that is missing, or if Kafka does not answer.
pub(crate) async fn data_partitions(kafka: &KafkaArgs) -> anyhow::Result<Vec<TopicPartition>> {
    data_partitions_with(&mut KeptClient::new(kafka)).await
}

/// Like [`data_partitions`], with a client that is kept.
///
/// # Errors
/// Same as [`data_partitions`].
pub(crate) async fn data_partitions_with(client: &mut KeptClient) -> anyhow::Result<Vec<TopicPartition>> {
    let topics = client.kafka.topics();
    let metadata =
        client.ask(|client| client.fetch_metadata(None, METADATA_TIMEOUT).context("Kafka is unreachable"));
    let metadata = metadata.await?;
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
