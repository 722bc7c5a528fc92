//! Looks at the partitions of records after a delivery timed out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::metadata::{Metadata, MetadataPartition};
use tokio::task::spawn_blocking;

use crate::model::outgoing::Outgoing;

/// The timeout of each request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether partitions can accept records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Leaders {
    /// All have a leader that is up, and enough replicas.
    Up,
    /// One has no leader that is up, or Kafka does not answer.
    Down,
    /// One has too few replicas in sync, so its leader refuses all records. The text names it.
    FewInSync(String),
}

/// The state of all partitions of these records. Uses a new client, because a broker that enforces a quota delays its answers to
/// the throttled one.
pub(crate) async fn state(kafka: &KafkaArgs, records: &[Outgoing]) -> Leaders {
    let partitions: BTreeSet<_> =
        records.iter().map(|record| (Arc::clone(&record.topic), record.partition)).collect();
    look(kafka, &partitions).await.unwrap_or(Leaders::Down)
}

async fn look(kafka: &KafkaArgs, partitions: &BTreeSet<(Arc<str>, i32)>) -> anyhow::Result<Leaders> {
    let client: AdminClient<LogContext> = kafka::create(&kafka.client_config(&[])?, LogContext::default())?;
    let client = Arc::new(client);
    let asked = Arc::clone(&client);
    let metadata = spawn_blocking(move || asked.inner().fetch_metadata(None, REQUEST_TIMEOUT)).await??;
    let topics: BTreeSet<&str> = partitions.iter().map(|(topic, _)| &**topic).collect();
    let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    // Answers are in the order of the request. If one can't be read, its limit is unknown.
    let settings = client.describe_configs(&resources, &options).await.unwrap_or_default().into_iter();
    // Closing a client blocks.
    spawn_blocking(move || drop(client)).await?;
    let limits: Vec<_> = topics.into_iter().zip(settings.map(|found| least_in_sync(&found.ok()?))).collect();
    for (topic, partition) in partitions {
        let Some(found) = find(&metadata, topic, *partition).filter(|found| is_led(&metadata, found)) else {
            return Ok(Leaders::Down);
        };
        let least = limits.iter().find(|(name, _)| **name == **topic).and_then(|(_, least)| *least);
        if let Some(few) = few_in_sync(found.isr().len(), least) {
            return Ok(Leaders::FewInSync(format!("{topic}[{partition}] has {few}")));
        }
    }
    Ok(Leaders::Up)
}

fn find<'a>(metadata: &'a Metadata, topic: &str, partition: i32) -> Option<&'a MetadataPartition> {
    let topic = metadata.topics().iter().find(|found| found.name() == topic)?;
    topic.partitions().iter().find(|found| found.id() == partition)
}

fn is_led(metadata: &Metadata, partition: &MetadataPartition) -> bool {
    metadata.brokers().iter().any(|broker| broker.id() == partition.leader())
}

fn least_in_sync(settings: &ConfigResource) -> Option<usize> {
    settings.get("min.insync.replicas")?.value.as_ref()?.parse().ok()
}

/// What is missing, if there are fewer replicas in sync than records need.
fn few_in_sync(found: usize, least: Option<usize>) -> Option<String> {
    let least = least.filter(|least| found < *least)?;
    Some(format!("too few replicas in sync: {found}, and min.insync.replicas is {least}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_replicas_in_sync_than_needed_are_named() {
        assert_eq!((few_in_sync(2, Some(2)), few_in_sync(0, None)), (None, None));
        let few = "too few replicas in sync: 1, and min.insync.replicas is 2";
        assert_eq!(few_in_sync(1, Some(2)).as_deref(), Some(few));
    }
}
