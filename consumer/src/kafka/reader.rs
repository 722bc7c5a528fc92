//! Readers of the topics outside the group, for dry runs and rebuilds.

use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::StreamConsumer;

pub(crate) type Reader = StreamConsumer<LogContext>;

/// A reader of committed records that never joins a group. librdkafka needs a group's name nevertheless, and the reader can
/// read what that group has committed.
///
/// # Errors
/// If librdkafka refuses a setting.
pub(crate) fn open(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Reader> {
    let config = kafka.client_config(&[
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
        ("queued.max.messages.kbytes", "16384"),
    ])?;
    kafka::create(&config, LogContext::default())
}
