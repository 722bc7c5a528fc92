//! Reads the decisions topic (`verdicts`).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use catalog_shared::decision::RunDecision;
use catalog_shared::events;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use time::{OffsetDateTime, UtcOffset};
use tokio::task::spawn_blocking;

use super::partitions::METADATA_TIMEOUT;

/// A consumer of the decisions topic that belongs to no group.
pub(crate) struct DecisionReader {
    consumer: StreamConsumer<LogContext>,
}

impl DecisionReader {
    /// A reader of all partitions, from the first record on.
    ///
    /// # Errors
    /// If Kafka does not answer.
    pub(crate) async fn open(kafka: &KafkaArgs, topic: &str, partitions: i32) -> anyhow::Result<Self> {
        let config = kafka.reader_config(&[
            ("group.id", "catalog-consumer-verdicts"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            // Programs read the topic to its end before they start. With the default this takes half a second.
            ("fetch.wait.max.ms", "50"),
        ])?;
        let consumer: StreamConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
        let topic = topic.to_owned();
        let assign = move || {
            let mut list = TopicPartitionList::new();
            for partition in 0..partitions {
                // Also connects to the partition's leader. Without that connection, a consumer that is assigned the
                // beginning waits for half a second before it asks for the offset again.
                let (first, _) = consumer.fetch_watermarks(&topic, partition, METADATA_TIMEOUT)?;
                list.add_partition_offset(&topic, partition, Offset::Offset(first))?;
            }
            consumer.assign(&list)?;
            anyhow::Ok(Self { consumer })
        };
        spawn_blocking(assign).await?.context("can't read the topic of decisions")
    }

    /// The last decision of each run.
    ///
    /// # Errors
    /// A Kafka error that the client does not recover from.
    pub(crate) async fn read_to_end(&self, partitions: i32) -> anyhow::Result<Vec<RunDecision>> {
        let mut ended = BTreeSet::new();
        let mut last = BTreeMap::new();
        while ended.len() < usize::try_from(partitions)? {
            match self.consumer.recv().await {
                Ok(message) => {
                    last.extend(read(&message).map(|decision| ((decision.region, decision.run), decision)));
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    ended.insert(partition);
                }
                Err(error) if ends_reading(&error) => return Err(error.into()),
                // The client retries by itself, and its context has logged the error.
                Err(error) => tracing::debug!(%error, "reading decisions"),
            }
        }
        Ok(last.into_values().collect())
    }

    /// The next published decision.
    pub(crate) async fn next(&self) -> RunDecision {
        loop {
            match self.consumer.recv().await {
                Ok(message) => {
                    if let Some(decision) = read(&message) {
                        return decision;
                    }
                }
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => tracing::debug!(%error, "reading decisions"),
            }
        }
    }
}

/// Whether the client does not recover by itself: the error is fatal, the right to read the topic is missing, or the topic was
/// deleted. A right on the group is not needed, because the client never joins one.
fn ends_reading(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{
        TopicAuthorizationFailed, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    match error {
        KafkaError::MessageConsumptionFatal(_) => true,
        KafkaError::MessageConsumption(code) => matches!(
            code,
            UnknownPartition | UnknownTopic | UnknownTopicOrPartition | TopicAuthorizationFailed
        ),
        _ => false,
    }
}

/// Parses a record. An unreadable record is logged and ignored.
fn read(message: &BorrowedMessage<'_>) -> Option<RunDecision> {
    let decision = parse(message.key(), message.payload());
    if decision.is_none() {
        tracing::warn!(
            event = events::DECISION_UNREADABLE,
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            key = message.key().map(String::from_utf8_lossy).as_deref(),
            "unreadable record in the verdicts topic; ignored"
        );
    }
    decision
}

fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<RunDecision> {
    let decision: RunDecision = serde_json::from_slice(value?).ok()?;
    (is_storable(&decision) && key == Some(decision.key().as_bytes())).then_some(decision)
}

/// Whether PostgreSQL can store it. PostgreSQL rejects a NUL, and would do so on every retry. A time outside the
/// calendar in UTC could be written but not read.
fn is_storable(decision: &RunDecision) -> bool {
    let RunDecision { judged, decided, scope, .. } = decision;
    let pairs = judged.shields.iter().flat_map(|(domain, reason)| [domain, reason]);
    let lifted = decided.iter().flat_map(|decided| &decided.domains);
    let mut texts =
        judged.reason.iter().chain(pairs).chain(judged.confirmed.keys()).chain(lifted).chain(scope);
    let is_time = |time: OffsetDateTime| time.checked_to_offset(UtcOffset::UTC).is_some();
    let mut times = decision.ended_at.into_iter().chain(decided.as_ref().map(|decided| decided.when));
    texts.all(|text| !text.contains('\0')) && times.all(is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(reason: &str, ended_at: &str) -> Option<RunDecision> {
        let value = format!(
            r#"{{"region":"us","run":7,"state":"held","reason":"{reason}","mode":"full","ended_at":"{ended_at}",
                "decided_at":"2026-01-01T00:00:00Z"}}"#
        );
        parse(Some(b"us/7"), Some(value.as_bytes()))
    }

    #[test]
    fn decisions_that_the_database_can_not_store_are_ignored() {
        assert!(parsed("why", "2026-01-01T00:00:00Z").is_some());
        assert_eq!(parsed(r"a\u0000b", "2026-01-01T00:00:00Z"), None);
        assert_eq!(parsed("why", "9999-12-31T23:59:59-01:00"), None);
        assert_eq!(parse(Some(b"us/7"), None), None);
    }
}
