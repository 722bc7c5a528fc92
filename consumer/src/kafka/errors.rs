//! Classification of Kafka's errors.

use catalog_shared::exit::Stop;
use catalog_shared::rights;
use rdkafka::error::KafkaError;

/// Whether an error comes from Kafka and is transient. A missing permission is not.
pub(crate) fn is_transient(error: &anyhow::Error) -> bool {
    let kafka = error.chain().find_map(|cause| cause.downcast_ref::<KafkaError>());
    !error.is::<Stop>() && kafka.is_some_and(|error| !rights::is_missing(error))
}
