//! Detects missing topics: a wrong prefix, or a topic that was deleted while the consumer runs. The Kafka client waits for
//! them silently, so this task checks periodically.

use std::time::Duration;

use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage::is_unreachable;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::kafka::partitions;

/// Interval between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Logs an error periodically while a topic is missing. Dropping the guard stops the task.
pub(crate) fn watch(kafka: &KafkaArgs) -> DropGuard {
    let (kafka, stop) = (kafka.clone(), CancellationToken::new());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            match partitions::data_partitions(&kafka).await {
                Err(error) if !is_unreachable(&error) => {
                    tracing::error!(
                        event = events::TOPIC_MISSING,
                        error = format!("{error:#}"),
                        "topic missing, retrying"
                    );
                }
                // Other code logs outages.
                _ => {}
            }
            sleep(CHECK_EVERY).await;
        }
    }));
    stop.drop_guard()
}
