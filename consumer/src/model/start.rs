//! The start offset of an assigned partition: its stored position, unless an operator has reset the group's
//! offset with Kafka's tools.

use catalog_shared::events;

use crate::model::topic::TopicPartition;

/// The group's committed offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    /// Whether a catalog consumer committed it, for any copy of the tables. Otherwise an operator did.
    pub(crate) noted: bool,
}

/// The start of a partition, by its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// There is no stored position: at the first record, regardless of committed offsets.
    Beginning(i64),
    /// At the stored position.
    Position(i64),
    /// At the offset that an operator set.
    Reset { from: i64, to: i64 },
}

impl Start {
    /// The stored position decides, because only the tables record what was applied. A committed offset without
    /// our metadata is the exception: Kafka's tools leave the metadata empty, so an operator has reset it.
    pub(crate) const fn decide(position: Option<i64>, committed: Option<CommittedOffset>, low: i64) -> Self {
        match (position, committed) {
            (None, _) => Self::Beginning(low),
            (Some(from), Some(CommittedOffset { offset: to, noted: false })) => Self::Reset { from, to },
            (Some(position), _) => Self::Position(position),
        }
    }

    pub(crate) const fn offset(self) -> i64 {
        match self {
            Self::Beginning(offset) | Self::Position(offset) | Self::Reset { to: offset, .. } => offset,
        }
    }

    /// Logs the assignment, and an operator's reset.
    pub(crate) fn log(self, topic_partition: &TopicPartition) {
        let TopicPartition { topic, partition, .. } = topic_partition;
        if let Self::Reset { from, to } = self
            && from != to
        {
            tracing::warn!(
                event = events::OFFSET_RESET,
                topic,
                partition,
                from,
                to,
                "group offset was reset by an operator; position follows"
            );
        }
        tracing::info!(
            event = events::PARTITION_ASSIGNED,
            topic,
            partition,
            position = self.offset(),
            "partition assigned"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_decides_unless_an_operator_has_reset_the_offset() {
        let own = Some(CommittedOffset { offset: 7, noted: true });
        let operators = Some(CommittedOffset { offset: 7, noted: false });
        assert_eq!(Start::decide(Some(20), None, 3), Start::Position(20));
        assert_eq!(Start::decide(Some(20), own, 3), Start::Position(20));
        assert_eq!(Start::decide(Some(20), operators, 3), Start::Reset { from: 20, to: 7 });
    }

    #[test]
    fn a_new_database_starts_at_the_beginning_regardless_of_committed_offsets() {
        let operators = Some(CommittedOffset { offset: 7, noted: false });
        assert_eq!(Start::decide(None, operators, 3), Start::Beginning(3));
    }
}
