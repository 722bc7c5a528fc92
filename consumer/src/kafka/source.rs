//! The ids of the cluster and the topics that a command reads.

use std::sync::Once;
use std::time::Duration;

use catalog_shared::events;
use catalog_shared::kafka::{KafkaArgs, LogContext};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::kafka::kept_client::KeptClient;
use crate::kafka::{admin, partitions};
use crate::model::source::Source;
use crate::model::topic::TopicKind;

/// Timeout of the request for the cluster's id.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the ids from Kafka.
///
/// # Errors
/// If Kafka does not answer.
pub(crate) async fn find(kafka: &KafkaArgs) -> anyhow::Result<Source> {
    find_with(&mut KeptClient::new(kafka)).await
}

/// Like [`find`], with a client that is kept.
///
/// # Errors
/// Same as [`find`].
pub(crate) async fn find_with(client: &mut KeptClient) -> anyhow::Result<Source> {
    let kafka = &client.kafka;
    let names = TopicKind::ALL.map(|kind| kind.topic(&kafka.topics()));
    let (brokers, prefix) = (kafka.brokers.clone(), kafka.topic_prefix.clone());
    let question = move |watcher: &BaseConsumer<LogContext>| {
        let client = watcher.client();
        let is_created = partitions::await_metadata(client, &names[0])?;
        let cluster = client.fetch_cluster_id(CLUSTER_TIMEOUT).filter(|id| !id.is_empty());
        let source = Source { brokers, prefix, cluster, topics: admin::topic_ids(client, &names)? };
        if source.cluster.is_none() || (is_created && source.topics.is_empty()) {
            log_unknown(&source);
        }
        Ok(source)
    };
    client.ask(question).await
}

/// Logs once that ids can't be compared.
fn log_unknown(source: &Source) {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        tracing::info!(
            event = events::TOPIC_IDS_UNKNOWN,
            cluster = source.cluster,
            topics_with_ids = source.topics.len(),
            "Kafka does not report the ids of its cluster or topics: a recreated topic may go unnoticed"
        );
    });
}
