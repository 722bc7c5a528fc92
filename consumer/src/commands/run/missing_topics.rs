//! Topics that are not there: a wrong prefix, or a topic that was deleted while the consumer runs. The client
//! waits for them without a word, so this looks for them again and again.

use std::time::Duration;

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage::is_unreachable;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::kafka::partitions;

/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Logs an error for as long as a topic is missing. Ends when the answer is dropped.
pub(crate) fn watch(kafka: &KafkaArgs) -> DropGuard {
    let (kafka, stop) = (kafka.clone(), CancellationToken::new());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            match partitions::data_partitions(&kafka).await {
                Err(error) if !is_unreachable(&error) => {
                    tracing::error!(error = format!("{error:#}"), "a topic is missing; waiting for it");
                }
                // An outage is told elsewhere.
                _ => {}
            }
            sleep(LOOK_EVERY).await;
        }
    }));
    stop.drop_guard()
}
