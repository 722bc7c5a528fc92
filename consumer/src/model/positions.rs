//! The positions of partitions.

use std::collections::HashMap;

use crate::model::topic::TopicPartition;

/// The offset of the next record to apply, by topic and partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions(HashMap<(String, i32), i64>);

impl Positions {
    /// The position of a partition; `None` if it has none.
    pub(crate) fn get(&self, topic_partition: &TopicPartition) -> Option<i64> {
        self.0.get(&(topic_partition.topic.clone(), topic_partition.partition)).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The topics and the numbers of the partitions that have a position.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&str, i32)> {
        self.0.keys().map(|(topic, partition)| (topic.as_str(), *partition))
    }
}

impl FromIterator<((String, i32), i64)> for Positions {
    fn from_iter<T: IntoIterator<Item = ((String, i32), i64)>>(positions: T) -> Self {
        Self(positions.into_iter().collect())
    }
}
