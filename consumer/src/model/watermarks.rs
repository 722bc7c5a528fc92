//! The offset range of a partition.

use catalog_shared::exit::Stop;

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
        let deletes = topic_partition.kind == TopicKind::DeadLetters;
        if (low..=high).contains(&position) || (deletes && position < low) {
            return Ok(());
        }
        Err(Stop::Guard(format!(
            "{topic_partition} contains offsets {low} to {high}, but the stored position is {position}: the topic was recreated \
             or has lost records. Point the consumer at the topics that these tables were filled from, or at an \
             empty schema"
        )))
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
}
