//! Whether brokers answer, when one of them did not take a record in time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::admin::AdminClient;
use rdkafka::metadata::Metadata;
use tokio::task::spawn_blocking;

use crate::model::outgoing::Outgoing;

/// How long the brokers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether each partition that these records go to has a leader that is up. Asks with a client of its own, because a
/// broker that enforces a quota leaves the connection of the client concerned unanswered.
pub(crate) async fn are_up(kafka: &KafkaArgs, records: &[Outgoing]) -> bool {
    let partitions: BTreeSet<_> =
        records.iter().map(|record| (Arc::clone(&record.topic), record.partition)).collect();
    let kafka = kafka.clone();
    let look = move || -> anyhow::Result<bool> {
        let client: AdminClient<LogContext> =
            kafka::create(&kafka.client_config(&[])?, LogContext::default())?;
        let metadata = client.inner().fetch_metadata(None, TIMEOUT)?;
        Ok(partitions.iter().all(|(topic, partition)| is_led(&metadata, topic, *partition)))
    };
    matches!(spawn_blocking(look).await, Ok(Ok(true)))
}

fn is_led(metadata: &Metadata, topic: &str, partition: i32) -> bool {
    let topic = metadata.topics().iter().find(|found| found.name() == topic);
    let partition = topic.and_then(|topic| topic.partitions().iter().find(|found| found.id() == partition));
    partition.is_some_and(|found| metadata.brokers().iter().any(|broker| broker.id() == found.leader()))
}
