//! The first record at or after the position of each of several partitions: how old unread records are.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use time::OffsetDateTime;

use crate::model::topic::TopicPartition;

/// How long to wait for one event of the client.
const POLL: Duration = Duration::from_millis(100);

/// An unread record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread {
    /// Its timestamp, by the clock of its producer; none if it has none.
    pub(crate) at: Option<OffsetDateTime>,
}

/// The first record at or after each position, one partition after the other. A partition may have none: its last offsets
/// are the ends of transactions, or a transaction is still open. Blocks.
///
/// # Errors
/// The error of Kafka, or if it does not answer within `limit`.
pub(crate) fn find(
    kafka: &KafkaArgs,
    from: &[(TopicPartition, i64)],
    limit: Duration,
) -> anyhow::Result<Vec<Option<Unread>>> {
    let (reader, deadline) = (open(kafka)?, Instant::now() + limit);
    let first = |(topic_partition, position): &(TopicPartition, i64)| {
        first_record(&reader, topic_partition, *position, deadline)
            .with_context(|| format!("can't read the oldest unread record of {topic_partition}"))
    };
    from.iter().map(first).collect()
}

fn first_record(
    reader: &BaseConsumer<LogContext>,
    topic_partition: &TopicPartition,
    position: i64,
    deadline: Instant,
) -> anyhow::Result<Option<Unread>> {
    let TopicPartition { topic, partition, .. } = topic_partition;
    let mut assignment = TopicPartitionList::with_capacity(1);
    assignment.add_partition_offset(topic, *partition, Offset::Offset(position))?;
    reader.assign(&assignment)?;
    while Instant::now() < deadline {
        match reader.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let nanos = message.timestamp().to_millis().map(|millis| i128::from(millis) * 1_000_000);
                let at = nanos.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
                return Ok(Some(Unread { at }));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    bail!("Kafka does not answer")
}

fn open(kafka: &KafkaArgs) -> anyhow::Result<BaseConsumer<LogContext>> {
    let config = kafka.client_config(&[
        // The group is never joined, but a consumer needs a group id.
        ("group.id", "catalog-consumer-check"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("allow.auto.create.topics", "false"),
        ("fetch.wait.max.ms", "50"),
        // Only one record of each partition is needed.
        ("queued.min.messages", "1"),
        ("fetch.message.max.bytes", "65536"),
    ])?;
    kafka::create(&config, LogContext::default())
}

/// Whether the client continues by itself, because it reconnects. A missing offset or permission does not change.
fn is_transient(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    matches!(
        error.rdkafka_error_code(),
        Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve)
    )
}
