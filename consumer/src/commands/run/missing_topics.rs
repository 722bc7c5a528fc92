//! Detects missing topics: a wrong prefix, or a topic that was deleted while the consumer runs. The Kafka client waits for
//! them silently, so this task checks periodically.

use std::time::Duration;

use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage::is_unreachable;
use rdkafka::error::KafkaError;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commands::run::monitoring::Monitor;
use crate::kafka::data_partitions::data_partitions_with;
use crate::kafka::kept_client::KeptClient;

/// Interval between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Logs an error periodically while a topic is missing. Dropping the guard stops the task.
pub(crate) fn watch(kafka: &KafkaArgs, monitor: Monitor) -> DropGuard {
    let (mut client, stop) = (KeptClient::new(kafka), CancellationToken::new());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            match data_partitions_with(&mut client).await {
                Ok(_) => monitor.set_topics_missing(false),
                Err(error) if !is_unreachable(&error) => {
                    // Kafka has answered, unless the error is its own.
                    monitor.set_topics_missing(!error.chain().any(|cause| cause.is::<KafkaError>()));
                    tracing::error!(
                        event = events::TOPIC_MISSING,
                        error = format!("{error:#}"),
                        "topic missing, retrying"
                    );
                }
                // Other code logs outages.
                Err(_) => {}
            }
            sleep(CHECK_EVERY).await;
        }
    }));
    stop.drop_guard()
}
