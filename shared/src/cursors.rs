//! Reads the cursors topic.

use std::time::Duration;

use crate::cursor::Cursor;
use crate::kafka::{self, KafkaArgs, LogContext};
use crate::outage::Unreachable;
use crate::region::Region;
use crate::topics::Topics;
use crate::watermarks::watermarks;
use anyhow::{Context, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

/// The timeout of requests to Kafka.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How many offsets before the end the search for the last cursor starts, and the factor by which it then goes back further.
/// A week of cursors may be waiting for compaction, and only the last one is needed.
const TAIL: i64 = 64;
const TAIL_FACTOR: i64 = 64;

/// A cursor with its timestamp in the topic.
#[derive(Clone, Debug)]
pub struct Written {
    /// The cursor.
    pub cursor: Cursor,
    /// When it was written, according to the producer's clock.
    pub at: Option<OffsetDateTime>,
}

/// A record that this build can't read as a cursor: a newer build wrote it, or another program did.
#[derive(Debug, Error)]
#[error("this build can't read the cursor at offset {offset} of {topic}[{partition}]")]
pub struct Unreadable {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    source: serde_json::Error,
}

/// The last committed cursor of a region; none before its first run.
///
/// # Errors
/// If Kafka can't be read; [`Unreadable`] if this build can't read the last record.
pub async fn read(kafka: &KafkaArgs, topics: &Topics, region: Region) -> anyhow::Result<Option<Cursor>> {
    Ok(read_written(kafka, topics, region).await?.map(|written| written.cursor))
}

/// As [`read`], with the time at which it was written.
///
/// # Errors
/// As [`read`].
pub async fn read_written(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<Written>> {
    let (config, topic) = (client_config(kafka, "read_committed")?, topics.cursors());
    let read = move || -> anyhow::Result<_> {
        let consumer: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
        last_cursor(&consumer, &topic, region)
    };
    spawn_blocking(read).await?.with_context(|| format!("can't read the cursor of region {region}"))
}

/// The configuration of a consumer that reads cursors at an isolation level.
///
/// # Errors
/// If an option of the user is invalid.
pub fn client_config(kafka: &KafkaArgs, isolation: &str) -> anyhow::Result<ClientConfig> {
    let config = kafka.client_config(&[
        // The group is never joined, but a consumer needs a group id.
        ("group.id", "catalog-producer"),
        ("isolation.level", isolation),
        ("enable.auto.commit", "false"),
        // A missing start offset must not be replaced by the end.
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "50"),
        ("allow.auto.create.topics", "false"),
    ])?;
    Ok(config)
}

/// As [`read`], for a topic that may not exist yet.
///
/// # Errors
/// As [`read`].
pub async fn read_if_exists(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<Cursor>> {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    match read(kafka, topics, region).await {
        Err(error) => match error.downcast_ref() {
            Some(KafkaError::MetadataFetch(UnknownPartition | UnknownTopic | UnknownTopicOrPartition)) => {
                Ok(None)
            }
            _ => Err(error),
        },
        found => found,
    }
}

fn last_cursor(
    consumer: &BaseConsumer<LogContext>,
    topic: &str,
    region: Region,
) -> anyhow::Result<Option<Written>> {
    let partition = region.cursor_partition();
    let (low, high) = watermarks(consumer, topic, partition)?;
    let mut back = TAIL;
    loop {
        let start = high.saturating_sub(back).max(low);
        let found = last_between(consumer, topic, partition, start)?;
        if found.is_some() || start == low {
            return Ok(found);
        }
        back = back.saturating_mul(TAIL_FACTOR);
    }
}

/// The last record between an offset and the partition's end. Blocks.
///
/// # Errors
/// As [`read`].
pub fn last_between(
    consumer: &BaseConsumer<LogContext>,
    topic: &str,
    partition: i32,
    start: i64,
) -> anyhow::Result<Option<Written>> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(start))?;
    consumer.assign(&assignment)?;
    let mut last = None;
    loop {
        match consumer.poll(TIMEOUT) {
            // Only the last one must be readable by this build.
            Some(Ok(message)) => last = Some(message.detach()),
            Some(Err(KafkaError::PartitionEOF(_))) => return last.as_ref().map(parse).transpose(),
            // The client reconnects by itself.
            Some(Err(KafkaError::MessageConsumption(error))) if is_temporary(error) => {
                tracing::debug!(%error, "reading the cursor");
            }
            Some(Err(error)) => return Err(error.into()),
            None => bail!(Unreachable(format!("no answer from Kafka for {} s", TIMEOUT.as_secs()))),
        }
    }
}

/// Whether a read continues after this error. The client reports a missing permission only once, so waiting for the next
/// answer would hide it.
#[must_use]
pub const fn is_temporary(error: RDKafkaErrorCode) -> bool {
    !matches!(error, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::TopicAuthorizationFailed)
}

fn parse(message: &OwnedMessage) -> anyhow::Result<Written> {
    let cursor = serde_json::from_slice(message.payload().unwrap_or_default());
    let cursor = cursor.map_err(|source| Unreadable {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        source,
    })?;
    let millis = message.timestamp().to_millis().map(|millis| i128::from(millis) * 1_000_000);
    let at = millis.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    Ok(Written { cursor, at })
}
