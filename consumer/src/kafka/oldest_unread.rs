//! The first record at or after the position of each of several partitions: how old unread records are.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::outage::is_transient;
use catalog_shared::record::RecordHeaders;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use time::OffsetDateTime;

use crate::model::topic::TopicPartition;

/// How long to wait for one event of the client.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// An unread record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread {
    /// When its producer observed it, as in the metrics of `run`. A record without that header has only Kafka's timestamp, or
    /// none.
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
        match reader.poll(POLL_TIMEOUT) {
            None => {}
            Some(Ok(message)) => {
                return Ok(Some(Unread { at: time_of(&message) }));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            // The client reconnects by itself.
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
    bail!("Kafka does not answer")
}

fn time_of(message: &impl Message) -> Option<OffsetDateTime> {
    let observed_at = RecordHeaders::from_headers(message.headers()).ok().map(|stamp| stamp.observed_at);
    let published_at = || {
        let nanos = i128::from(message.timestamp().to_millis()?) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
    };
    observed_at.or_else(published_at)
}

fn open(kafka: &KafkaArgs) -> anyhow::Result<BaseConsumer<LogContext>> {
    let config = kafka.reader_config(&[
        ("group.id", "catalog-consumer-check"),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "50"),
        // Only one record of each partition is needed.
        ("queued.min.messages", "1"),
        ("fetch.message.max.bytes", "65536"),
    ])?;
    kafka::create(&config, LogContext::default())
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::Version;
    use catalog_shared::record::{Content, RecordType};
    use catalog_shared::region::Region;
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    #[test]
    fn the_time_of_a_record_is_that_of_its_header_or_else_its_timestamp() {
        let observed_at = OffsetDateTime::from_unix_timestamp(1_000).unwrap();
        let stamp = RecordHeaders {
            content: Content::Record(RecordType::Hosts),
            region: Region::Us,
            version: Version { run: 1, page: 1 },
            observed_at,
        };
        let record = |headers| {
            let at = Timestamp::CreateTime(5_000_000);
            time_of(&OwnedMessage::new(None, None, "hosts".into(), at, 0, 0, headers))
        };
        assert_eq!(record(Some(stamp.to_headers())), Some(observed_at));
        assert_eq!(record(None).map(OffsetDateTime::unix_timestamp), Some(5_000));
    }
}
