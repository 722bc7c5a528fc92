//! The offset range of a partition.

use catalog_shared::exit::Stop;

use crate::model::start::Start;
use crate::model::topic::{TopicKind, TopicPartition};

/// The low watermark (first offset) and the high watermark (next offset) of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Watermarks {
    /// Checks that a position is within the watermarks. The topic of dead letters expires, so a position below its low
    /// watermark is valid.
    ///
    /// # Errors
    /// [`Stop::Guard`] if it does not: the topic was recreated or has lost records.
    pub(crate) fn check(self, topic_partition: &TopicPartition, position: i64) -> Result<(), Stop> {
        let Self { low, high } = self;
        if self.allows(topic_partition, position) {
            return Ok(());
        }
        Err(Stop::Guard(format!(
            "{topic_partition} contains offsets {low} to {high}, but the stored position is {position}: the topic was recreated \
             or has lost records. Point the consumer at the topics that these tables were filled from, or at an \
             empty schema"
        )))
    }

    /// Checks the offset of the group to which an operator's reset would move the stored position.
    ///
    /// # Errors
    /// [`Stop::Guard`] if it is not within the watermarks. The position is unchanged then, and a second reset can correct it.
    pub(crate) fn check_reset(self, topic_partition: &TopicPartition, start: Start) -> Result<(), Stop> {
        let Self { low, high } = self;
        match start {
            Start::Reset { from, to } if !self.allows(topic_partition, to) => Err(Stop::Guard(format!(
                "{topic_partition} contains offsets {low} to {high}, but the group's offset was reset to {to}. The position in \
                 the tables is still {from}: reset the offset to one between {low} and {high}, or to {from}"
            ))),
            _ => Ok(()),
        }
    }

    fn allows(self, topic_partition: &TopicPartition, position: i64) -> bool {
        let deletes = topic_partition.kind == TopicKind::DeadLetters;
        (self.low..=self.high).contains(&position) || (deletes && position < self.low)
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;

    fn topic_partition(partition: i32) -> TopicPartition {
        TopicPartition { kind: TopicKind::Data(RecordType::Hosts), topic: "socrata.hosts".into(), partition }
    }

    #[test]
    fn a_position_outside_the_partition_stops_the_program() {
        let marks = Watermarks { low: 10, high: 20 };
        assert!([10, 20].iter().all(|position| marks.check(&topic_partition(0), *position).is_ok()));
        assert!([9, 21].iter().all(|position| marks.check(&topic_partition(0), *position).is_err()));
    }

    #[test]
    fn a_reset_outside_the_partition_is_refused_and_leaves_the_position() {
        let marks = Watermarks { low: 10, high: 20 };
        let reset = |to| marks.check_reset(&topic_partition(0), Start::Reset { from: 15, to });
        assert!([10, 20].into_iter().all(|to| reset(to).is_ok()));
        for to in [9, 5_000_000] {
            let error = reset(to).unwrap_err().to_string();
            assert!(error.contains(&format!("reset to {to}")) && error.contains("still 15"), "{error}");
        }
        // Stored positions are checked elsewhere.
        assert!(marks.check_reset(&topic_partition(0), Start::Position(30)).is_ok());
    }
}
