//! The delivery of single records, of which a transaction has many.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;

use crate::model::outgoing::Outgoing;

/// A record that Kafka did not take.
pub(crate) struct Undelivered {
    pub(crate) key: String,
    pub(crate) error: KafkaError,
}

/// Waits until Kafka has taken each of these records.
pub(crate) async fn await_all<'a>(
    pending: impl IntoIterator<Item = (&'a Outgoing, DeliveryFuture)>,
) -> Result<(), Undelivered> {
    for (record, delivery) in pending {
        let delivered = delivery.await.map_err(|_| KafkaError::Canceled);
        let delivered = delivered.and_then(|told| told.map_err(|(error, _)| error));
        delivered.map_err(|error| Undelivered { key: record.key.clone(), error })?;
    }
    Ok(())
}

/// Whether a record can be sent once others have been delivered.
pub(crate) const fn is_queue_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}
