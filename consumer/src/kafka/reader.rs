//! Readers of the topics outside the group, for dry runs and rebuilds.

use anyhow::Context;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::topic_partition_list::TopicPartitionList;

pub(crate) type TopicReader = StreamConsumer<LogContext>;
/// A reader for a separate thread. It reads twice as fast, because no task is woken for each message.
pub(crate) type PolledReader = BaseConsumer<LogContext>;

/// A reader of committed records that never joins a group. librdkafka needs a group's name nevertheless, and the reader can
/// read what that group has committed.
///
/// # Errors
/// If librdkafka refuses a setting.
pub(crate) fn open(kafka: &KafkaArgs, group: &str) -> anyhow::Result<TopicReader> {
    kafka::create(&config(kafka, group)?, LogContext::default())
}

/// Like [`open`], for a thread that polls.
///
/// # Errors
/// Same as [`open`].
pub(crate) fn open_polled(kafka: &KafkaArgs, group: &str) -> anyhow::Result<PolledReader> {
    kafka::create(&config(kafka, group)?, LogContext::default())
}

/// Stops fetching a partition until it is resumed.
///
/// # Errors
/// If librdkafka refuses it.
pub(crate) fn pause<C: Consumer<LogContext>>(reader: &C, topic: &str, partition: i32) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, partition);
    reader.pause(&list).with_context(|| format!("can't pause {topic}[{partition}]"))
}

fn config(kafka: &KafkaArgs, group: &str) -> anyhow::Result<ClientConfig> {
    Ok(kafka.client_config(&[
        ("group.id", group),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        ("fetch.wait.max.ms", "50"),
        // The delay before a fetcher that has filled the queue checks it again. The default of a second would stall a
        // busy reader.
        ("fetch.queue.backoff.ms", "10"),
        // What is fetched is decompressed at once, to several times its size, and the queue may exceed its limit by that.
        // Larger values read hardly faster and take tens of MiB.
        ("queued.max.messages.kbytes", "4096"),
        ("max.partition.fetch.bytes", "262144"),
    ])?)
}
