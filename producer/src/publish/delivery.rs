//! The delivery of the records of a transaction.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::DeliveryFuture;

use crate::model::outgoing::Outgoing;

/// A record that was not delivered.
pub(crate) struct Undelivered {
    pub(crate) key: String,
    pub(crate) error: KafkaError,
}

/// Waits until all these records are delivered.
pub(crate) async fn await_all<'a>(
    pending: impl IntoIterator<Item = (&'a Outgoing, DeliveryFuture)>,
) -> Result<(), Undelivered> {
    for (record, delivery) in pending {
        let delivered = delivery.await.map_err(|_| KafkaError::Canceled);
        let delivered = delivered.and_then(|result| result.map_err(|(error, _)| error));
        delivered.map_err(|error| Undelivered { key: record.key.clone(), error })?;
    }
    Ok(())
}

/// Whether a record can be sent after others have been delivered.
pub(crate) const fn is_queue_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}
