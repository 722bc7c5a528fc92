//! How far the tables are behind the topics.

use std::time::Duration;

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::oldest_unread;
use crate::model::positions::Positions;
use crate::model::topic::TopicPartition;

/// The unread records of all partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lag {
    /// The offsets between the positions and the ends. Some belong to no record that will be applied, such as the ends of
    /// transactions and the records of open ones.
    pub(super) records: u64,
    /// Seconds since the oldest unread record was observed, by the producer's clock; `None` without unread records.
    pub(super) seconds: Option<u64>,
    /// The partition with the oldest unread record.
    pub(super) oldest_in: Option<String>,
    /// The partitions with unread records.
    pub(super) behind: Vec<PartitionLag>,
    /// The number of all partitions.
    pub(super) partitions: usize,
}

/// The unread records of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartitionLag {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Like [`Lag::records`].
    pub(super) records: u64,
    /// Like [`Lag::seconds`].
    pub(super) seconds: u64,
}

/// Measures the lag. A partition without a readable record after its position is not behind. `limit` is the time for reaching
/// Kafka, and the time for reading the oldest records.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] for a position outside its partition, or the error of Kafka.
pub(super) async fn measure(kafka: KafkaArgs, positions: Positions, limit: Duration) -> anyhow::Result<Lag> {
    outage::reach_within(&kafka, limit).await?;
    let ends = EndOffsets::measure(&kafka).await?;
    ends.check(&positions)?;
    let behind: Vec<(TopicPartition, i64, i64)> = ends
        .unread(&positions)
        .map(|(topic_partition, position, end)| (topic_partition.clone(), position, end))
        .collect();
    let from: Vec<(TopicPartition, i64)> =
        behind.iter().map(|(topic_partition, position, _)| (topic_partition.clone(), *position)).collect();
    let unread = spawn_blocking(move || oldest_unread::find(&kafka, &from, limit)).await??;
    let found = behind.iter().zip(unread);
    let found = found.filter_map(|((topic_partition, position, end), unread)| {
        Some((topic_partition, u64::try_from(end - position).unwrap_or_default(), unread?.at))
    });
    Ok(Lag { partitions: ends.topic_partitions().len(), ..Lag::of(found, OffsetDateTime::now_utc()) })
}

impl Lag {
    /// Adds up partitions with unread records: each with its number of offsets and the time of its oldest record.
    fn of<'a>(
        behind: impl Iterator<Item = (&'a TopicPartition, u64, Option<OffsetDateTime>)>,
        now: OffsetDateTime,
    ) -> Self {
        let mut lag = Self::default();
        let mut oldest = None;
        for (topic_partition, records, at) in behind {
            lag.records += records;
            // A record without a time is at least unread.
            let at = at.unwrap_or(now);
            if oldest.is_none_or(|oldest| at < oldest) {
                oldest = Some(at);
                lag.oldest_in = Some(topic_partition.to_string());
            }
            let TopicPartition { topic, partition, .. } = topic_partition.clone();
            lag.behind.push(PartitionLag { topic, partition, records, seconds: age(at, now) });
        }
        lag.seconds = oldest.map(|at| age(at, now));
        lag
    }
}

/// Whole seconds since a producer's time. Its clock may be ahead.
fn age(at: OffsetDateTime, now: OffsetDateTime) -> u64 {
    u64::try_from((now - at).whole_seconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::topic::TopicKind;

    #[test]
    fn the_lag_is_the_sum_of_the_partitions_and_the_age_of_the_oldest_record() {
        let now = OffsetDateTime::from_unix_timestamp(1_000).unwrap();
        let part = |partition| TopicPartition {
            kind: TopicKind::Data(RecordType::Hosts),
            topic: "hosts".into(),
            partition,
        };
        let [one, two] = [part(0), part(1)];
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
        let lag = Lag::of([(&one, 5, at(990)), (&two, 7, at(940))].into_iter(), now);
        assert_eq!((lag.records, lag.seconds, lag.oldest_in.as_deref()), (12, Some(60), Some("hosts[1]")));
        let of_one = PartitionLag { topic: "hosts".into(), partition: 0, records: 5, seconds: 10 };
        assert_eq!((lag.behind.len(), &lag.behind[0]), (2, &of_one));
        let ahead = Lag::of([(&one, 5, at(1_010))].into_iter(), now);
        assert_eq!((ahead.records, ahead.seconds), (5, Some(0)));
        assert_eq!(Lag::of(std::iter::empty(), now), Lag::default());
    }
}
