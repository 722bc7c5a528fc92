//! The contents of a topic, read as any consumer of committed records reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A record of a topic.
#[derive(Clone, Debug)]
pub struct TopicRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key as text.
    pub key: String,
    /// Its headers as text.
    pub headers: BTreeMap<String, String>,
    /// Its value.
    pub value: Vec<u8>,
}

impl TopicRecord {
    /// Whether it is an end-of-run record.
    #[must_use]
    pub fn is_end_record(&self) -> bool {
        self.headers.get("kind").is_some_and(|kind| kind == "marker")
    }
}

/// A record to send, as from another client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Sends a record and returns its offset.
pub(super) async fn send(config: ClientConfig, topic: &str, sent: Sent<'_>) -> Result<i64> {
    let producer: FutureProducer = config.create()?;
    let headers = sent.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    });
    let mut record = FutureRecord::<[u8], [u8]>::to(topic).partition(sent.partition).headers(headers);
    (record.key, record.payload) = (sent.key, sent.value);
    let delivery = producer.send_result(record).map_err(|(error, _)| error)?.await?;
    Ok(delivery.map_err(|(error, _)| error)?.offset)
}

/// Reads all partitions to their ends.
pub(super) async fn read(config: ClientConfig, topic: String) -> Result<Vec<TopicRecord>> {
    tokio::task::spawn_blocking(move || read_blocking(config, &topic)).await?
}

/// The group's committed offset of a partition and the partition's end.
pub(super) async fn committed(
    mut config: ClientConfig,
    group: &str,
    topic: String,
    partition: i32,
) -> Result<(Option<i64>, i64)> {
    config.set("group.id", group).set("isolation.level", "read_uncommitted");
    let ask = move || {
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition(&topic, partition);
        let committed = consumer.committed_offsets(list, TIMEOUT)?;
        let offset = committed.elements().first().and_then(|element| element.offset().to_raw());
        let (_, end) = consumer.fetch_watermarks(&topic, partition, TIMEOUT)?;
        Ok((offset.filter(|offset| *offset >= 0), end))
    };
    tokio::task::spawn_blocking(ask).await?
}

fn read_blocking(mut config: ClientConfig, topic: &str) -> Result<Vec<TopicRecord>> {
    if config.get("group.id").is_none() {
        config.set("group.id", "tests");
    }
    config.set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50");
    let consumer: BaseConsumer = config.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions = metadata.topics().first().context("no metadata of the topic")?.partitions().len();
    let mut records = Vec::new();
    for partition in 0..i32::try_from(partitions)? {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
        consumer.assign(&list)?;
        loop {
            match consumer.poll(TIMEOUT) {
                Some(Ok(message)) => records.push(record(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => return Err(error.into()),
                None => bail!("no end of {topic}[{partition}]"),
            }
        }
    }
    Ok(records)
}

fn record(message: &BorrowedMessage<'_>) -> TopicRecord {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message
        .headers()
        .map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect());
    TopicRecord {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key()),
        headers: headers.unwrap_or_default(),
        value: message.payload().unwrap_or_default().to_vec(),
    }
}
