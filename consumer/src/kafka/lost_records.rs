//! Topics that have lost their first records. Compaction keeps the last record of each key and never moves a
//! partition's first offset. So a compacted partition that does not begin at offset 0 has lost records, for example by
//! `cleanup.policy=compact,delete` or by `kafka-delete-records`.

use std::fmt;

use anyhow::Context;
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::watermarks;
use rdkafka::consumer::Consumer;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::kafka::partitions::{self, METADATA_TIMEOUT};
use crate::model::positions::Positions;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;

/// A partition that has lost its first records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LostRecords {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The first offset that is left.
    pub(crate) first_offset: i64,
}

impl LostRecords {
    /// For a partition whose first offset is `low`. None for the topic of dead letters, where old records expire by design.
    pub(crate) fn of(topic_partition: &TopicPartition, low: i64) -> Option<Self> {
        let TopicPartition { kind, topic, partition } = topic_partition;
        (*kind != TopicKind::DeadLetters).then(|| Self::at(topic, *partition, low)).flatten()
    }

    fn at(topic: &str, partition: i32, low: i64) -> Option<Self> {
        (low > 0).then(|| Self { topic: topic.to_owned(), partition, first_offset: low })
    }
}

impl fmt::Display for LostRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}] begins at offset {}", self.topic, self.partition, self.first_offset)
    }
}

/// Lists partitions for a message.
pub(crate) fn list(lost: &[LostRecords]) -> String {
    lost.iter().map(LostRecords::to_string).collect::<Vec<_>>().join(", ")
}

/// The partitions of the decisions topic that have lost their first records.
///
/// # Errors
/// The error of Kafka.
pub(crate) async fn of_decisions(kafka: &KafkaArgs) -> anyhow::Result<Vec<LostRecords>> {
    let (watcher, name) = (partitions::watcher(kafka)?, kafka.topics().verdicts());
    let read = move || {
        // Metadata of all topics, because a request by name may create the topic (auto.create.topics.enable).
        let metadata = watcher.fetch_metadata(None, METADATA_TIMEOUT).context("Kafka is unreachable")?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let mut lost = Vec::new();
        for partition in topic.map_or(&[][..], |topic| topic.partitions()) {
            let (low, _) = watermarks::watermarks(&watcher, &name, partition.id())
                .with_context(|| format!("can't read the first offset of {name}[{}]", partition.id()))?;
            lost.extend(LostRecords::at(&name, partition.id(), low));
        }
        Ok(lost)
    };
    spawn_blocking(read).await?
}

/// Checks the start of partitions without a position. Empty tables also need the decisions topic from its beginning.
///
/// # Errors
/// [`Stop::Guard`] if records are lost and `accept` is false, or the error of Kafka.
pub(crate) async fn check_starts(
    kafka: &KafkaArgs,
    positions: &Positions,
    marks: &[(TopicPartition, Watermarks)],
    accept: bool,
) -> anyhow::Result<()> {
    let starting: Vec<_> = marks
        .iter()
        .filter(|(topic_partition, _)| {
            topic_partition.kind != TopicKind::DeadLetters && positions.get(topic_partition).is_none()
        })
        .collect();
    let mut lost: Vec<_> = starting
        .iter()
        .filter_map(|(topic_partition, marks)| LostRecords::of(topic_partition, marks.low))
        .collect();
    let dead_letters = kafka.topics().dead_letters();
    let are_new = positions.partitions().all(|(topic, _)| topic == dead_letters);
    if are_new && !starting.is_empty() {
        lost.extend(of_decisions(kafka).await?);
    }
    match lost.as_slice() {
        [] => Ok(()),
        lost if accept => {
            tracing::warn!(
                event = events::RECORDS_LOST,
                partitions = list(lost),
                "partitions have lost records; reading the remaining ones"
            );
            Ok(())
        }
        lost => Err(refuse(lost).into()),
    }
}

fn refuse(lost: &[LostRecords]) -> Stop {
    Stop::Guard(format!(
        "records are lost: {}. A compacted topic always begins at 0, unless records were deleted (check its \
         cleanup.policy). Tables that are filled from it lack the content of the deleted records. Nothing was applied. If \
         there are tables that read those records, use them. Otherwise `catalog-consumer rebuild --migrate` fills new \
         tables if a later full crawl has published everything again, and `run --accept-loss` fills them with the \
         remaining records",
        list(lost)
    ))
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;

    #[test]
    fn a_first_offset_above_0_is_a_loss_except_where_records_expire() {
        let topic_partition = |kind| TopicPartition { kind, topic: "t".into(), partition: 1 };
        let lost = LostRecords::of(&topic_partition(TopicKind::Data(RecordType::Hosts)), 600);
        assert_eq!(lost.map(|lost| lost.to_string()).as_deref(), Some("t[1] begins at offset 600"));
        assert_eq!(LostRecords::of(&topic_partition(TopicKind::Data(RecordType::Hosts)), 0), None);
        assert_eq!(LostRecords::of(&topic_partition(TopicKind::DeadLetters), 600), None);
    }
}
