//! How far the topics reach, and whether the tables have got there.

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;

use crate::kafka::partitions::{data_partitions, watermarks};
use crate::model::positions::Positions;
use crate::model::topic::TopicPartition;
use crate::model::watermarks::Watermarks;

/// How far every partition reached when it was measured.
pub(crate) struct EndOffsets {
    ends: Vec<(TopicPartition, Watermarks)>,
}

impl EndOffsets {
    /// Measures all topics.
    ///
    /// # Errors
    /// When one that holds data is missing: then there is nothing to catch up with.
    pub(crate) async fn measure(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let places = data_partitions(kafka).await?;
        Ok(Self { ends: watermarks(kafka, places).await? })
    }

    /// Every partition.
    pub(crate) fn places(&self) -> Vec<TopicPartition> {
        self.ends.iter().map(|(place, _)| place.clone()).collect()
    }

    /// Whether the positions that there are lie in their partitions: one beyond the end would look as if
    /// it had caught up.
    ///
    /// # Errors
    /// [`Stop::Guard`] for the first that doesn't.
    pub(crate) fn check(&self, positions: &Positions) -> Result<(), Stop> {
        let stored = |place: &TopicPartition| positions.get(&(place.topic.clone(), place.partition)).copied();
        self.ends.iter().try_for_each(|(place, marks)| {
            stored(place).map_or(Ok(()), |position| marks.check(place, position))
        })
    }

    /// The partitions that are not there yet, each with where it stands and where it should. One without a position is not,
    /// even if it has no records: nothing of it was ever assigned to a consumer of these tables.
    pub(crate) fn behind(&self, positions: &Positions) -> impl Iterator<Item = (&TopicPartition, i64, i64)> {
        self.ends.iter().filter_map(|(place, Watermarks { low, high })| {
            let position = positions.get(&(place.topic.clone(), place.partition)).copied();
            let is_there = position.is_some_and(|position| position >= *high);
            (!is_there).then_some((place, position.unwrap_or(*low), *high))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::topic::TopicKind;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition { kind: TopicKind::Data(RecordType::Hosts), topic: "socrata.hosts".into(), partition }
    }

    #[test]
    fn a_goal_is_behind_until_every_position_is_there() {
        let marks = |low, high| Watermarks { low, high };
        let goal = EndOffsets {
            ends: vec![(place(0), marks(0, 20)), (place(1), marks(2, 5)), (place(2), marks(7, 7))],
        };
        let mut positions = HashMap::from([(("socrata.hosts".to_owned(), 0), 20)]);
        let behind = [(&place(1), 2, 5), (&place(2), 7, 7)];
        assert_eq!(goal.behind(&positions).collect::<Vec<_>>(), behind);
        positions.insert(("socrata.hosts".to_owned(), 1), 6);
        positions.insert(("socrata.hosts".to_owned(), 2), 7);
        assert_eq!(goal.behind(&positions).count(), 0);
        assert!(goal.check(&positions).is_err());
    }
}
