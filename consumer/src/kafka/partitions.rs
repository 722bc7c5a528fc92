//! How far the topics reach, and whether the tables have got there.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::watermarks;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::task::spawn_blocking;

use crate::batch::{Place, TopicKind};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The first and the next offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Watermarks {
    /// Whether a position lies in the partition.
    ///
    /// # Errors
    /// [`Stop::Guard`] where it doesn't: the topic was made anew or has lost records.
    pub(crate) fn check(self, place: &Place, position: i64) -> Result<(), Stop> {
        let Self { low, high } = self;
        let deletes = place.kind == TopicKind::DeadLetters;
        if (low..=high).contains(&position) || (deletes && position < low) {
            return Ok(());
        }
        Err(Stop::Guard(format!(
            "{}[{}] holds offsets {low} to {high}, and the tables stand at {position}: the topic was made anew \
             or has lost records. Point the consumer at the topics that these tables were made from, or at an \
             empty schema",
            place.topic, place.partition
        )))
    }
}

/// A client that sees the true end of partitions, open transactions included: a reader of committed
/// records only would be told where the first open transaction begins.
pub(crate) fn watcher(kafka: &KafkaArgs) -> anyhow::Result<BaseConsumer<LogContext>> {
    let config = kafka.client_config(&[
        // Never joined: a consumer needs a name for its group all the same.
        ("group.id", "catalog-consumer-watermarks"),
        ("isolation.level", "read_uncommitted"),
        ("enable.auto.commit", "false"),
        ("allow.auto.create.topics", "false"),
    ])?;
    kafka::create(&config, LogContext::default())
}

/// The watermarks of some partitions.
pub(crate) async fn watermarks(
    kafka: &KafkaArgs,
    places: Vec<Place>,
) -> anyhow::Result<Vec<(Place, Watermarks)>> {
    let watcher = watcher(kafka)?;
    let read = move || places.into_iter().map(|place| measure(&watcher, place)).collect();
    spawn_blocking(read).await?
}

fn measure(watcher: &BaseConsumer<LogContext>, place: Place) -> anyhow::Result<(Place, Watermarks)> {
    let (low, high) = watermarks::watermarks(watcher, &place.topic, place.partition)
        .with_context(|| format!("can't read the end of {}[{}]", place.topic, place.partition))?;
    Ok((place, Watermarks { low, high }))
}

/// How far every partition reached when it was measured.
pub(crate) struct Goal {
    ends: Vec<(Place, Watermarks)>,
}

/// Where partitions stand, by topic and partition.
pub(crate) type Positions = HashMap<(String, i32), i64>;

impl Goal {
    /// Measures all topics.
    ///
    /// # Errors
    /// When one that holds data is missing: then there is nothing to catch up with.
    pub(crate) async fn measure(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let places = places(kafka).await?;
        Ok(Self { ends: watermarks(kafka, places).await? })
    }

    /// Every partition.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.ends.iter().map(|(place, _)| place.clone()).collect()
    }

    /// Whether the positions that there are lie in their partitions: one beyond the end would look as if
    /// it had caught up.
    ///
    /// # Errors
    /// [`Stop::Guard`] for the first that doesn't.
    pub(crate) fn check(&self, positions: &Positions) -> Result<(), Stop> {
        let stored = |place: &Place| positions.get(&(place.topic.clone(), place.partition)).copied();
        self.ends.iter().try_for_each(|(place, marks)| {
            stored(place).map_or(Ok(()), |position| marks.check(place, position))
        })
    }

    /// The partitions that are not there yet, each with where it stands and where it should. One without a position is not,
    /// even if it has no records: nothing of it was ever assigned to a consumer of these tables.
    pub(crate) fn behind(&self, positions: &Positions) -> impl Iterator<Item = (&Place, i64, i64)> {
        self.ends.iter().filter_map(|(place, Watermarks { low, high })| {
            let position = positions.get(&(place.topic.clone(), place.partition)).copied();
            let is_there = position.is_some_and(|position| position >= *high);
            (!is_there).then_some((place, position.unwrap_or(*low), *high))
        })
    }
}

/// Every partition of the data topics.
pub(crate) async fn places(kafka: &KafkaArgs) -> anyhow::Result<Vec<Place>> {
    let watcher = watcher(kafka)?;
    let metadata = spawn_blocking(move || watcher.fetch_metadata(None, PATIENCE)).await?;
    let metadata = metadata.context("Kafka can't be reached")?;
    let topics = kafka.topics();
    let mut places = Vec::new();
    for kind in TopicKind::ALL {
        let name = kind.topic(&topics);
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            if kind == TopicKind::DeadLetters {
                continue;
            }
            bail!("there is no topic {name}: crawl a region first, with the same --topic-prefix");
        };
        let place = |partition| Place { kind, topic: name.clone(), partition };
        places.extend(topic.partitions().iter().map(|partition| place(partition.id())));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::Kind;

    use super::*;

    fn place(partition: i32) -> Place {
        Place { kind: TopicKind::Data(Kind::Hosts), topic: "socrata.hosts".into(), partition }
    }

    #[test]
    fn a_position_outside_the_partition_stops_the_program() {
        let marks = Watermarks { low: 10, high: 20 };
        assert!([10, 20].iter().all(|position| marks.check(&place(0), *position).is_ok()));
        assert!([9, 21].iter().all(|position| marks.check(&place(0), *position).is_err()));
    }

    #[test]
    fn a_goal_is_behind_until_every_position_is_there() {
        let marks = |low, high| Watermarks { low, high };
        let goal =
            Goal { ends: vec![(place(0), marks(0, 20)), (place(1), marks(2, 5)), (place(2), marks(7, 7))] };
        let mut positions = HashMap::from([(("socrata.hosts".to_owned(), 0), 20)]);
        let behind = [(&place(1), 2, 5), (&place(2), 7, 7)];
        assert_eq!(goal.behind(&positions).collect::<Vec<_>>(), behind);
        positions.insert(("socrata.hosts".to_owned(), 1), 6);
        positions.insert(("socrata.hosts".to_owned(), 2), 7);
        assert_eq!(goal.behind(&positions).count(), 0);
        assert!(goal.check(&positions).is_err());
    }
}
