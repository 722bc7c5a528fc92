//! Kafka's limit: a bare client that reads committed records and drops them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_tests::world::World;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use crate::figure::Figure;

/// Topics that a consumer applies.
const TOPICS: [&str; 4] = ["datasets", "domains", "hosts", "agencies"];
const TIMEOUT: Duration = Duration::from_secs(30);

/// Offsets by topic and partition.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

/// A record of the datasets topic.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) partition: i32,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// The end offsets of the topics.
pub(crate) async fn ends(world: &World) -> Result<Offsets> {
    let (config, topics) = (config(world), TOPICS.map(|topic| world.topic(topic)));
    let fetch = move || {
        let consumer: BaseConsumer = config.create()?;
        let mut ends = Offsets::new();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(&topic), TIMEOUT)?;
            let partitions = metadata.topics().first().context("the topic exists")?.partitions();
            for partition in partitions.iter().map(|partition| partition.id()) {
                let (_, end) = consumer.fetch_watermarks(&topic, partition, TIMEOUT)?;
                ends.insert((topic.clone(), partition), end);
            }
        }
        anyhow::Ok(ends)
    };
    spawn_blocking(fetch).await?
}

/// The first offsets of the same partitions.
pub(crate) fn beginnings(ends: &Offsets) -> Offsets {
    ends.keys().map(|place| (place.clone(), 0)).collect()
}

/// Reads the topics from these offsets. As in a consumer's summary, the time starts with the first record.
pub(crate) async fn read(world: &World, from: Offsets) -> Result<Figure> {
    let config = config(world);
    let read = move || {
        let (mut began, mut records) = (None, 0);
        poll_to_end(&config, &from, |_| {
            began.get_or_insert_with(Instant::now);
            records += 1;
        })?;
        let seconds = began.context("the topics hold nothing new")?.elapsed().as_secs_f64();
        anyhow::Ok(Figure { records, seconds })
    };
    spawn_blocking(read).await?
}

/// The records of the datasets topic from these offsets, without end-of-run records.
pub(crate) async fn datasets(world: &World, mut from: Offsets) -> Result<Vec<Published>> {
    let (config, topic) = (config(world), world.topic("datasets"));
    from.retain(|(name, _), _| *name == topic);
    let read = move || {
        let mut all = Vec::new();
        poll_to_end(&config, &from, |message| {
            if !is_end_record(message) {
                all.push(published(message));
            }
        })?;
        anyhow::Ok(all)
    };
    spawn_blocking(read).await?
}

fn is_end_record(message: &BorrowedMessage<'_>) -> bool {
    let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.any(|header| header.key == "kind" && header.value == Some(b"marker"))
}

fn published(message: &BorrowedMessage<'_>) -> Published {
    let bytes = |bytes: Option<&[u8]>| Bytes::copy_from_slice(bytes.unwrap_or_default());
    Published { partition: message.partition(), key: bytes(message.key()), value: bytes(message.payload()) }
}

fn config(world: &World) -> ClientConfig {
    let mut config = world.kafka();
    config.set("group.id", "bench").set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    config.set("fetch.wait.max.ms", "50");
    // With the default, the client would pause for a second when its queue is full.
    config.set("fetch.queue.backoff.ms", "10");
    config
}

fn poll_to_end(
    config: &ClientConfig,
    from: &Offsets,
    mut visit: impl FnMut(&BorrowedMessage<'_>),
) -> Result<()> {
    ensure!(!from.is_empty(), "there are no partitions to read");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for ((topic, partition), offset) in from {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&assignment)?;
    let mut ends = 0;
    while ends < assignment.count() {
        match consumer.poll(TIMEOUT).context("Kafka sends nothing")? {
            Ok(message) => visit(&message),
            Err(KafkaError::PartitionEOF(_)) => ends += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
