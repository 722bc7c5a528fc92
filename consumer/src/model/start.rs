//! Where a partition starts when it is taken over: at its position, unless an operator has moved the
//! group's offset with Kafka's own tools.

use crate::model::topic::TopicPartition;

/// What the group has committed for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    /// Whether it is ours, of whatever copy of the tables. Anything else is an operator's.
    pub(crate) noted: bool,
}

/// Where a partition starts, and why there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A new database: at the first record, whatever the group has committed.
    Beginning(i64),
    /// Where the tables stand.
    Position(i64),
    /// Where an operator has set it.
    Reset { from: i64, to: i64 },
}

impl Start {
    /// The tables decide, for only they know what was applied. But a committed offset without our note is
    /// an operator's word (Kafka's tools leave the note empty), and it holds for what is to be applied next.
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

    /// Tells of it.
    pub(crate) fn announce(self, place: &TopicPartition) {
        let TopicPartition { topic, partition, .. } = place;
        if let Self::Reset { from, to } = self
            && from != to
        {
            tracing::warn!(
                topic,
                partition,
                from,
                to,
                "an operator has reset the group's offset; the position follows"
            );
        }
        tracing::info!(topic, partition, position = self.offset(), "partition assigned");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_decides_unless_an_operator_has_spoken() {
        let ours = Some(CommittedOffset { offset: 7, noted: true });
        let operators = Some(CommittedOffset { offset: 7, noted: false });
        assert_eq!(Start::decide(Some(20), None, 3), Start::Position(20));
        assert_eq!(Start::decide(Some(20), ours, 3), Start::Position(20));
        assert_eq!(Start::decide(Some(20), operators, 3), Start::Reset { from: 20, to: 7 });
    }

    #[test]
    fn a_new_database_starts_at_the_beginning_whatever_the_group_says() {
        let operators = Some(CommittedOffset { offset: 7, noted: false });
        assert_eq!(Start::decide(None, operators, 3), Start::Beginning(3));
    }
}
