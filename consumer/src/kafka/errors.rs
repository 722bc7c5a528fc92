//! Classification of Kafka's errors.

use catalog_shared::exit::Stop;
use catalog_shared::rights;
use rdkafka::error::KafkaError;

/// Whether to retry after this error: any error of Kafka except a missing permission. Most of them pass once brokers are
/// reachable. Some never pass, such as a login that is no longer valid, but librdkafka doesn't tell them apart reliably. So each
/// caller has a time limit or logs a warning.
pub(crate) fn is_retried(error: &anyhow::Error) -> bool {
    let kafka = error.chain().find_map(|cause| cause.downcast_ref::<KafkaError>());
    !error.is::<Stop>() && kafka.is_some_and(|error| !rights::is_missing(error))
}
