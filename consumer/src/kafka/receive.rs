//! Receiving: from a message of Kafka to a record in its partition's buffer.

use std::time::Instant;

use anyhow::bail;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use crate::model::partition::{NewerRecord, Partition};
use crate::model::record::Record;

/// The message that was received; none for an error that the client gets over by itself.
///
/// # Errors
/// When the client can't go on.
pub(crate) fn message(
    received: Result<BorrowedMessage<'_>, KafkaError>,
) -> anyhow::Result<Option<BorrowedMessage<'_>>> {
    match received {
        Ok(message) => Ok(Some(message)),
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
            bail!(
                "a partition no longer holds the offset that was asked for; start again to go on from where it does"
            )
        }
        Err(error @ KafkaError::MessageConsumptionFatal(_)) => Err(error.into()),
        // The client goes on by itself, and its context has told of it.
        Err(error) => {
            tracing::debug!(%error, "receiving");
            Ok(None)
        }
    }
}

/// Takes a record into its partition, if records flow there.
pub(crate) fn take(partition: &mut Partition, message: &BorrowedMessage<'_>, now: Instant) {
    if !partition.flows() {
        return;
    }
    match Record::from_message(message) {
        Ok(record) => partition.push(record, now),
        Err(schema) => {
            partition.newer = Some(NewerRecord { offset: message.offset(), schema });
            tracing::warn!(
                topic = message.topic(),
                partition = message.partition(),
                offset = message.offset(),
                schema,
                "a record of a newer schema: its partition waits until this consumer is upgraded"
            );
        }
    }
}
