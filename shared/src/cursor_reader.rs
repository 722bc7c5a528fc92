//! Reads cursors from their topic.

use anyhow::Context;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use crate::cursor::Cursor;
use crate::kafka::{self, KafkaArgs, LogContext};
use crate::partition_reader::{self, Isolation, PartitionReader};
use crate::region::Region;
use crate::topics::Topics;
use crate::watermarks::watermarks;

/// How many offsets before the end the search for the last cursor starts, and the factor by which it then goes back further.
/// A week of cursors may be waiting for compaction, and only the last one is needed.
const TAIL: i64 = 64;
const TAIL_FACTOR: i64 = 64;

/// A cursor with its timestamp in the topic.
#[derive(Clone, Debug)]
pub struct StoredCursor {
    /// The cursor.
    pub cursor: Cursor,
    /// When it was written, according to the producer's clock.
    pub at: Option<OffsetDateTime>,
}

/// A record that this build can't read as a cursor: a newer build wrote it, or another program did.
#[derive(Debug, Error)]
#[error("this build can't read the cursor at offset {offset} of {topic}[{partition}]")]
pub struct UnreadableCursor {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    source: serde_json::Error,
}

/// The last committed cursor of a region; `None` before its first run.
///
/// # Errors
/// If Kafka can't be read; [`UnreadableCursor`] if this build can't read the last record.
pub async fn read(kafka: &KafkaArgs, topics: &Topics, region: Region) -> anyhow::Result<Option<Cursor>> {
    Ok(read_stored(kafka, topics, region).await?.map(|stored| stored.cursor))
}

/// Like [`read`], with the time at which it was written.
///
/// # Errors
/// Same as [`read`].
pub async fn read_stored(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<StoredCursor>> {
    let (config, topic) = (partition_reader::config(kafka, Isolation::Committed)?, topics.cursors());
    let read = move || -> anyhow::Result<_> {
        let reader: PartitionReader = kafka::create(&config, LogContext::default())?;
        last_cursor(&reader, &topic, region)
    };
    spawn_blocking(read).await?.with_context(|| format!("can't read the cursor of region {region}"))
}

/// Like [`read`], for a topic that may not exist yet or may have no partition for the region.
///
/// # Errors
/// Same as [`read`].
pub async fn read_if_exists(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<Cursor>> {
    Ok(read_stored_if_exists(kafka, topics, region).await?.map(|stored| stored.cursor))
}

/// Like [`read_if_exists`], with the time at which it was written.
///
/// # Errors
/// Same as [`read`].
pub async fn read_stored_if_exists(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<StoredCursor>> {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    match read_stored(kafka, topics, region).await {
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
    reader: &PartitionReader,
    topic: &str,
    region: Region,
) -> anyhow::Result<Option<StoredCursor>> {
    let partition = region.cursor_partition();
    let (low, high) = watermarks(reader, topic, partition)?;
    let mut back = TAIL;
    loop {
        let start = high.saturating_sub(back).max(low);
        let found = last_between(reader, topic, partition, start)?;
        if found.is_some() || start == low {
            return Ok(found);
        }
        back = back.saturating_mul(TAIL_FACTOR);
    }
}

/// The last record between an offset and the partition's end. Blocks.
///
/// # Errors
/// Same as [`read`].
pub fn last_between(
    reader: &PartitionReader,
    topic: &str,
    partition: i32,
    start: i64,
) -> anyhow::Result<Option<StoredCursor>> {
    let mut last = None;
    // Only the last one must be readable by this build.
    partition_reader::read_to_end(reader, topic, partition, start, |message| last = Some(message.detach()))?;
    last.as_ref().map(parse).transpose()
}

fn parse(message: &OwnedMessage) -> anyhow::Result<StoredCursor> {
    let cursor = serde_json::from_slice(message.payload().unwrap_or_default());
    let cursor = cursor.map_err(|source| UnreadableCursor {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        source,
    })?;
    let millis = message.timestamp().to_millis().map(|millis| i128::from(millis) * 1_000_000);
    let at = millis.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    Ok(StoredCursor { cursor, at })
}
