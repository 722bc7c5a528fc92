//! The hosts that a run has published already.
//!
//! A host that shows two domains takes the smaller one, so a run must know what it has published. A producer
//! that resumes a run reads it back from the topic: without that, the larger domain could win after a
//! restart, because its record comes later.

use std::collections::HashMap;

use anyhow::{Context, bail};
use catalog_shared::cursor::Cursor;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::outage::Away;
use catalog_shared::record::{Content, Kind, Stamp};
use catalog_shared::topics::Topics;
use catalog_shared::watermarks::watermarks;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use catalog_shared::cursors::{self, PATIENCE};

/// The domain of each host.
pub(crate) type Hosts = HashMap<String, String>;

/// The hosts of a cursor's run as they are in the topic; none for a run that begins.
///
/// # Errors
/// What Kafka says.
pub(crate) async fn published(kafka: &KafkaArgs, topics: &Topics, cursor: &Cursor) -> anyhow::Result<Hosts> {
    let partitions = cursor.partitions.get(&Kind::Hosts).copied().unwrap_or(0);
    if cursor.next_page == 0 || partitions == 0 {
        return Ok(Hosts::new());
    }
    let (config, topic) = (cursors::client_config(kafka, "read_committed")?, topics.data(Kind::Hosts));
    let cursor = cursor.clone();
    let read = move || -> anyhow::Result<_> {
        let consumer: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
        let mut hosts = Hosts::new();
        for partition in 0..partitions {
            read_partition(&consumer, &topic, partition, &cursor, &mut hosts)?;
        }
        Ok(hosts)
    };
    spawn_blocking(read).await?.context("can't read the hosts that the run has published")
}

fn read_partition(
    consumer: &BaseConsumer<LogContext>,
    topic: &str,
    partition: i32,
    cursor: &Cursor,
    hosts: &mut Hosts,
) -> anyhow::Result<()> {
    let (low, _) = watermarks(consumer, topic, partition)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(low))?;
    consumer.assign(&assignment)?;
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => remember(&message, cursor, hosts),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error @ KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                return Err(error.into());
            }
            // The client goes on by itself when a broker comes back.
            Some(Err(KafkaError::MessageConsumption(error))) => tracing::debug!(%error, "reading hosts"),
            Some(Err(error)) => return Err(error.into()),
            None => bail!(Away(format!("no answer from Kafka for {} s", PATIENCE.as_secs()))),
        }
    }
}

#[derive(Deserialize)]
struct Host {
    host: String,
    domain: String,
}

/// Takes a record of the cursor's run; others, and what this build can't read, are passed over.
fn remember(message: &BorrowedMessage<'_>, cursor: &Cursor, hosts: &mut Hosts) {
    let Ok(stamp) = Stamp::from_headers(message.headers()) else { return };
    let is_host = matches!(stamp.content, Content::Record(Kind::Hosts));
    if !is_host || stamp.region != cursor.region || stamp.version.run != cursor.run {
        return;
    }
    let Ok(found) = serde_json::from_slice::<Host>(message.payload().unwrap_or_default()) else { return };
    add(hosts, found.host, found.domain);
}

fn add(hosts: &mut Hosts, host: String, domain: String) {
    let smallest = hosts.entry(host).or_insert_with(|| domain.clone());
    if domain < *smallest {
        *smallest = domain;
    }
}
