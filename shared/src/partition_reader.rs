//! Reads partitions to their ends, without a consumer group.

use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::{KafkaArgs, LogContext};
use crate::outage::Unreachable;
use crate::stop::Stop;

/// How long to wait for the next record or the end of a partition.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that reads partitions.
pub type PartitionReader = BaseConsumer<LogContext>;

/// Which records are read.
#[derive(Clone, Copy, Debug)]
pub enum Isolation {
    /// Those of committed transactions. A partition ends where the first open transaction begins.
    Committed,
    /// All of them, those of open and aborted transactions included.
    Uncommitted,
}

/// The configuration of a [`PartitionReader`].
///
/// # Errors
/// If an option of the user is invalid.
pub fn config(kafka: &KafkaArgs, isolation: Isolation) -> Result<ClientConfig, Stop> {
    let isolation = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    kafka.reader_config(&[
        ("group.id", "catalog-producer"),
        ("isolation.level", isolation),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "50"),
    ])
}

/// Reads the records of a partition from an offset to its end. Blocks, without a record for at most 30 seconds.
///
/// # Errors
/// [`Unreachable`] if Kafka does not answer; otherwise its error.
pub fn read_to_end(
    reader: &PartitionReader,
    topic: &str,
    partition: i32,
    start: i64,
    mut read: impl FnMut(&BorrowedMessage<'_>),
) -> anyhow::Result<()> {
    let mut assignment = TopicPartitionList::with_capacity(1);
    assignment.add_partition_offset(topic, partition, Offset::Offset(start))?;
    reader.assign(&assignment)?;
    let mut deadline = Instant::now() + POLL_TIMEOUT;
    loop {
        match reader.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => {
                deadline = Instant::now() + POLL_TIMEOUT;
                read(&message);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            // The client reconnects by itself. Its errors come again and again during an outage, and don't extend the deadline.
            Some(Err(KafkaError::MessageConsumption(error))) if !is_reported_once(error) => {
                tracing::debug!(%error, topic, partition, "reading to the end");
            }
            Some(Err(error)) => return Err(error.into()),
            None => bail!(Unreachable(format!("no answer from Kafka for {} s", POLL_TIMEOUT.as_secs()))),
        }
    }
}

/// Whether the client reports this error only once, so that waiting for the next answer would hide it.
const fn is_reported_once(error: RDKafkaErrorCode) -> bool {
    matches!(error, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::TopicAuthorizationFailed)
}
