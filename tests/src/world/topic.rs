//! The contents of a topic, read as any consumer of committed records reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use tokio::time::{interval, timeout};

use super::{LIMIT, LOOK_AGAIN, World};

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
    pub fn is_marker(&self) -> bool {
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

impl World {
    /// Deletes the records before an offset of a partition, as an operator with the policy `delete` could.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.kafka().create()?;
        self.set_policy(topic, "compact,delete").await?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic(topic), partition, Offset::Offset(offset))?;
        for deleted in admin.delete_records(&list, &AdminOptions::new()).await?.elements() {
            deleted.error()?;
        }
        Ok(())
    }

    /// Deletes topics of this world, and returns when the brokers no longer list them. The controller reports a deletion as
    /// soon as it has recorded it, and a broker that has not yet caught up still gives out the old topic's id.
    ///
    /// # Errors
    /// Kafka's error, or if a topic is still listed after five minutes.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.kafka().create()?;
        let names: Vec<String> = topics.iter().map(|name| self.topic(name)).collect();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        for deleted in admin.delete_topics(&borrowed, &AdminOptions::new()).await? {
            deleted.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
        }
        let gone = async {
            let mut again = interval(LOOK_AGAIN);
            while self.topics().await?.iter().any(|listed| names.contains(listed)) {
                again.tick().await;
            }
            anyhow::Ok(())
        };
        timeout(LIMIT, gone).await.with_context(|| format!("still listed: {names:?}"))?
    }

    /// Sets a topic's policy; `compact` is the one that producers accept.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn set_policy(&self, topic: &str, policy: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.kafka().create()?;
        let topic = self.topic(topic);
        // Settings that are not given fall back to the broker's defaults, which are too small for producers.
        let policy = AlterConfig::new(ResourceSpecifier::Topic(&topic))
            .set("cleanup.policy", policy)
            .set("max.message.bytes", "8388608");
        for altered in admin.alter_configs([&policy], &AdminOptions::new()).await? {
            altered.map_err(|(_, code)| anyhow!("{topic}: {code}"))?;
        }
        Ok(())
    }
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
    config.set("group.id", "tests").set("enable.auto.commit", "false");
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
