//! Readers of the topics that stand outside of the group: those of dry runs and rebuilds.

use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::StreamConsumer;

pub(crate) type Reader = StreamConsumer<LogContext>;

/// A reader of committed records that never joins a group. It needs the name of one all the same, and can be
/// asked what that one has committed.
///
/// # Errors
/// What librdkafka says of its settings.
pub(crate) fn open(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Reader> {
    let config = kafka.client_config(&[
        ("group.id", group),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        ("fetch.wait.max.ms", "50"),
        // A fetcher that has filled the queue looks again after this long; its default of a second would
        // stall a reader that works.
        ("fetch.queue.backoff.ms", "10"),
        ("queued.max.messages.kbytes", "16384"),
    ])?;
    kafka::create(&config, LogContext::default())
}
