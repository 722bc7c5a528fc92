//! Checks whether partition leaders are reachable after a delivery timed out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::admin::AdminClient;
use rdkafka::metadata::Metadata;
use tokio::task::spawn_blocking;

use crate::model::outgoing::Outgoing;

/// The timeout of the metadata request.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether all partitions of these records have a leader that is up. Uses a new client, because a broker that enforces
/// a quota delays its answers to the throttled one.
pub(crate) async fn are_up(kafka: &KafkaArgs, records: &[Outgoing]) -> bool {
    let partitions: BTreeSet<_> =
        records.iter().map(|record| (Arc::clone(&record.topic), record.partition)).collect();
    let kafka = kafka.clone();
    let query = move || -> anyhow::Result<bool> {
        let client: AdminClient<LogContext> =
            kafka::create(&kafka.client_config(&[])?, LogContext::default())?;
        let metadata = client.inner().fetch_metadata(None, METADATA_TIMEOUT)?;
        Ok(partitions.iter().all(|(topic, partition)| has_leader(&metadata, topic, *partition)))
    };
    matches!(spawn_blocking(query).await, Ok(Ok(true)))
}

fn has_leader(metadata: &Metadata, topic: &str, partition: i32) -> bool {
    let topic = metadata.topics().iter().find(|found| found.name() == topic);
    let partition = topic.and_then(|topic| topic.partitions().iter().find(|found| found.id() == partition));
    partition.is_some_and(|found| metadata.brokers().iter().any(|broker| broker.id() == found.leader()))
}
