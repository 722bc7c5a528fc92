//! The order in which partitions are served.

use std::collections::HashMap;

use crate::model::partition::Partition;

/// The partitions with waiting records, longest wait first.
pub(super) fn in_due_order<K: Copy>(partitions: &HashMap<K, Partition>) -> Vec<K> {
    let waiting = partitions.iter().filter_map(|(key, partition)| Some((partition.waits_since()?, *key)));
    let mut waiting: Vec<_> = waiting.collect();
    waiting.sort_unstable_by_key(|(since, _)| *since);
    waiting.into_iter().map(|(_, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::record::Record;
    use crate::model::topic::{TopicKind, TopicPartition};

    #[test]
    fn partitions_are_served_in_the_order_in_which_they_became_due() {
        let now = Instant::now();
        let kind = TopicKind::Data(RecordType::Datasets);
        let partition = |number: i32| {
            let topic_partition =
                TopicPartition { kind, topic: "socrata.datasets".into(), partition: number };
            let mut partition = Partition::new(topic_partition, 0, 1);
            let record = Record::read(0, None::<&rdkafka::message::OwnedHeaders>).unwrap();
            // The higher its number, the longer it has waited.
            partition.push(record, now + Duration::from_secs(20 - u64::from(number.unsigned_abs())));
            (number, partition)
        };
        let partitions: HashMap<_, _> = (0..20).map(partition).collect();
        assert_eq!(in_due_order(&partitions), (0..20).rev().collect::<Vec<_>>());
    }
}
