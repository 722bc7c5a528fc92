//! End offsets of the topics, and whether the stored positions have reached them.

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;

use crate::kafka::data_partitions::data_partitions;
use crate::kafka::partitions::watermarks;
use crate::model::positions::Positions;
use crate::model::topic::TopicPartition;
use crate::model::watermarks::Watermarks;

/// The watermarks of every partition at one moment.
pub(crate) struct EndOffsets {
    ends: Vec<(TopicPartition, Watermarks)>,
}

impl EndOffsets {
    /// Reads the watermarks of all topics.
    ///
    /// # Errors
    /// If a data topic is missing, or Kafka does not answer.
    pub(crate) async fn measure(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let topic_partitions = data_partitions(kafka).await?;
        Ok(Self { ends: watermarks(kafka, topic_partitions).await? })
    }

    /// The end offsets of these partitions.
    #[cfg(test)]
    pub(crate) const fn new(ends: Vec<(TopicPartition, Watermarks)>) -> Self {
        Self { ends }
    }

    /// Every partition.
    pub(crate) fn topic_partitions(&self) -> Vec<TopicPartition> {
        self.ends.iter().map(|(topic_partition, _)| topic_partition.clone()).collect()
    }

    /// Checks that the stored positions are within their partitions. A position beyond the end would count as caught up.
    ///
    /// # Errors
    /// [`Stop::Guard`] for the first one that does not.
    pub(crate) fn check(&self, positions: &Positions) -> Result<(), Stop> {
        self.ends.iter().try_for_each(|(topic_partition, marks)| {
            positions.get(topic_partition).map_or(Ok(()), |position| marks.check(topic_partition, position))
        })
    }

    /// The partitions that have not caught up, each with its position and its end offset. A partition without a position
    /// has not caught up, even if it is empty: it was never assigned to a consumer of these tables.
    pub(crate) fn behind(&self, positions: &Positions) -> impl Iterator<Item = (&TopicPartition, i64, i64)> {
        self.ends.iter().filter_map(|(topic_partition, Watermarks { low, high })| {
            let position = positions.get(topic_partition);
            let has_caught_up = position.is_some_and(|position| position >= *high);
            (!has_caught_up).then_some((topic_partition, position.unwrap_or(*low), *high))
        })
    }

    /// The partitions with offsets that are not applied, each with the first one that the topic still has and its end offset.
    /// Records of the topic of dead letters may expire before they are read.
    pub(crate) fn unread(&self, positions: &Positions) -> impl Iterator<Item = (&TopicPartition, i64, i64)> {
        self.ends.iter().filter_map(|(topic_partition, Watermarks { low, high })| {
            let first = positions.get(topic_partition).unwrap_or(*low).max(*low);
            (first < *high).then_some((topic_partition, first, *high))
        })
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::topic::TopicKind;

    fn topic_partition(partition: i32) -> TopicPartition {
        TopicPartition { kind: TopicKind::Data(RecordType::Hosts), topic: "socrata.hosts".into(), partition }
    }

    #[test]
    fn partitions_are_behind_until_their_position_is_the_end_offset() {
        let marks = |low, high| Watermarks { low, high };
        let ends = EndOffsets::new(vec![
            (topic_partition(0), marks(0, 20)),
            (topic_partition(1), marks(2, 5)),
            (topic_partition(2), marks(7, 7)),
        ]);
        let at = |positions: &[(i32, i64)]| -> Positions {
            let of = |(partition, at): &(i32, i64)| (("socrata.hosts".to_owned(), *partition), *at);
            positions.iter().map(of).collect()
        };
        let positions = at(&[(0, 20)]);
        assert_eq!(ends.unread(&positions).collect::<Vec<_>>(), [(&topic_partition(1), 2, 5)]);
        assert_eq!(ends.unread(&at(&[(1, 1)])).last(), Some((&topic_partition(1), 2, 5)));
        let behind = [(&topic_partition(1), 2, 5), (&topic_partition(2), 7, 7)];
        assert_eq!(ends.behind(&positions).collect::<Vec<_>>(), behind);
        let positions = at(&[(0, 20), (1, 6), (2, 7)]);
        assert_eq!(ends.behind(&positions).count(), 0);
        assert!(ends.check(&positions).is_err());
    }
}
