//! Reads the hosts that a run has already published.
//!
//! A host that appears with two domains gets the smaller one, so a run must know what it has published. A resumed run
//! reads it from the topic. Otherwise the larger domain could win after a restart, because its record is newer.

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::partition_reader::{self, Isolation, PartitionReader};
use catalog_shared::record::{Content, RecordHeaders, RecordType};
use catalog_shared::topics::Topics;
use catalog_shared::watermarks::watermarks;
use rdkafka::message::{BorrowedMessage, Message};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::run::record_builder::Hosts;

/// The hosts that a cursor's run has published, from the topic; empty for a new run.
///
/// # Errors
/// If Kafka can't be read.
pub(crate) async fn published(kafka: &KafkaArgs, topics: &Topics, cursor: &Cursor) -> anyhow::Result<Hosts> {
    let partitions = cursor.partitions.get(&RecordType::Hosts).copied().unwrap_or(0);
    if cursor.next_page == 0 || partitions == 0 {
        return Ok(Hosts::new());
    }
    let (config, topic) =
        (partition_reader::config(kafka, Isolation::Committed)?, topics.data(RecordType::Hosts));
    let cursor = cursor.clone();
    let read = move || -> anyhow::Result<_> {
        let reader: PartitionReader = kafka::create(&config, LogContext::default())?;
        let mut hosts = Hosts::new();
        for partition in 0..partitions {
            read_partition(&reader, &topic, partition, &cursor, &mut hosts)?;
        }
        Ok(hosts)
    };
    spawn_blocking(read).await?.context("can't read the hosts published by the run")
}

fn read_partition(
    reader: &PartitionReader,
    topic: &str,
    partition: i32,
    cursor: &Cursor,
    hosts: &mut Hosts,
) -> anyhow::Result<()> {
    let (low, _) = watermarks(reader, topic, partition)?;
    partition_reader::read_to_end(reader, topic, partition, low, |message| add_record(message, cursor, hosts))
}

#[derive(Deserialize)]
struct Host {
    host: String,
    domain: String,
}

/// Adds a record of the cursor's run. Ignores other records and those that this build can't read.
fn add_record(message: &BorrowedMessage<'_>, cursor: &Cursor, hosts: &mut Hosts) {
    let Ok(stamp) = RecordHeaders::from_headers(message.headers()) else { return };
    let is_host = matches!(stamp.content, Content::Record(RecordType::Hosts));
    if !is_host || stamp.region != cursor.region || stamp.version.run != cursor.run {
        return;
    }
    let Ok(found) = serde_json::from_slice::<Host>(message.payload().unwrap_or_default()) else { return };
    add_smaller(hosts, found.host, found.domain);
}

fn add_smaller(hosts: &mut Hosts, host: String, domain: String) {
    let domain_of_host = hosts.entry(host).or_insert_with(|| domain.clone());
    if domain < *domain_of_host {
        *domain_of_host = domain;
    }
}
