//! Receiving: errors of the client, and records of a single reader.

use std::time::Instant;

use anyhow::anyhow;
use catalog_shared::events;
use catalog_shared::rights;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use crate::model::chunk::NewerRecord;
use crate::model::partition::Partition;
use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// The received message. None for an error that the client recovers from by itself.
///
/// # Errors
/// When the client can't continue.
pub(crate) fn message(
    received: Result<BorrowedMessage<'_>, KafkaError>,
) -> anyhow::Result<Option<BorrowedMessage<'_>>> {
    match received {
        Ok(message) => Ok(Some(message)),
        Err(error) => permanent(error).map_or(Ok(None), |error| Err(explain(error))),
    }
}

/// An error that the client does not recover from by itself. Others are only logged, by the client's context too.
pub(crate) fn permanent(error: KafkaError) -> Option<KafkaError> {
    let lasts = match &error {
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)
        | KafkaError::MessageConsumptionFatal(_) => true,
        // The client would retry forever, but an operator must first grant the permission.
        error => rights::is_missing(error),
    };
    if lasts {
        return Some(error);
    }
    tracing::debug!(%error, "receiving");
    None
}

/// The error, with advice if the client's message contains none.
pub(crate) fn explain(error: KafkaError) -> anyhow::Error {
    match error {
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => anyhow!(
            "a partition no longer has the requested offset; start again to continue from the position in the database"
        ),
        error => error.into(),
    }
}

/// Copies a message into its partition, if records are accepted there.
pub(crate) fn take(partition: &mut Partition, message: &BorrowedMessage<'_>, now: Instant) {
    if !partition.accepts_records() {
        return;
    }
    match Record::from_message(message) {
        Ok(record) => partition.push(record, now),
        Err(schema) => {
            let newer = NewerRecord { offset: message.offset(), schema };
            partition.newer = Some(newer);
            log_newer(&partition.topic_partition, newer);
        }
    }
}

/// Logs that a partition waits for an upgrade.
pub(crate) fn log_newer(topic_partition: &TopicPartition, newer: NewerRecord) {
    tracing::warn!(
        event = events::NEWER_SCHEMA_WAITS,
        topic = topic_partition.topic,
        partition = topic_partition.partition,
        offset = newer.offset,
        schema = newer.schema,
        "a record of a newer schema: its partition waits until this consumer is upgraded"
    );
}
