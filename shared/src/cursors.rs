//! Reads the cursors topic.

use std::time::Duration;

use crate::cursor::Cursor;
use crate::kafka::{self, KafkaArgs, LogContext};
use crate::outage::Away;
use crate::region::Region;
use crate::topics::Topics;
use crate::watermarks::watermarks;
use anyhow::{Context, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

/// How long Kafka may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How many offsets from the end the last cursor is looked for first, and by how much more then. A week
/// of cursors may wait for compaction, and only the last one counts.
const TAIL: i64 = 64;
const FURTHER: i64 = 64;

/// A cursor as it lies in the topic.
#[derive(Clone, Debug)]
pub struct Written {
    /// The cursor.
    pub cursor: Cursor,
    /// When it was written, by its producer's clock.
    pub at: Option<OffsetDateTime>,
}

/// The last committed cursor of a region; none before its first run.
///
/// # Errors
/// What Kafka says, or that the last record is not a cursor that this build can read.
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

/// How cursors are read, at an isolation level of Kafka's.
///
/// # Errors
/// What the user's options do not allow.
pub fn client_config(kafka: &KafkaArgs, isolation: &str) -> anyhow::Result<ClientConfig> {
    let config = kafka.client_config(&[
        // Never joined: reading needs a name for the group all the same.
        ("group.id", "catalog-producer"),
        ("isolation.level", isolation),
        ("enable.auto.commit", "false"),
        // A start that doesn't exist must not be taken for the end.
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "50"),
        ("allow.auto.create.topics", "false"),
    ])?;
    Ok(config)
}

/// As [`read`], where nobody may have made the topic yet.
///
/// # Errors
/// As [`read`].
pub async fn read_if_there(
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
        back = back.saturating_mul(FURTHER);
    }
}

/// The last record from an offset to the partition's end. Blocks.
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
        match consumer.poll(PATIENCE) {
            // Only the last one has to be one that this build can read.
            Some(Ok(message)) => last = Some(message.detach()),
            Some(Err(KafkaError::PartitionEOF(_))) => return last.as_ref().map(parse).transpose(),
            Some(Err(error @ KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                return Err(error.into());
            }
            // The client goes on by itself when a broker comes back.
            Some(Err(KafkaError::MessageConsumption(error))) => tracing::debug!(%error, "reading the cursor"),
            Some(Err(error)) => return Err(error.into()),
            None => bail!(Away(format!("no answer from Kafka for {} s", PATIENCE.as_secs()))),
        }
    }
}

fn parse(message: &OwnedMessage) -> anyhow::Result<Written> {
    let cursor = serde_json::from_slice(message.payload().unwrap_or_default());
    let cursor = cursor.context("the cursor is not one that this build wrote")?;
    let millis = message.timestamp().to_millis().map(|millis| i128::from(millis) * 1_000_000);
    let at = millis.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    Ok(Written { cursor, at })
}
