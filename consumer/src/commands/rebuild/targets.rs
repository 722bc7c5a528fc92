//! Goals: how far each partition is read.

use std::collections::HashMap;

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::watermarks;
use rdkafka::consumer::BaseConsumer;
use sqlx::PgConnection;
use tokio::task::spawn_blocking;

use super::args::TopicsArgs;
use super::intent::Intent;
use crate::kafka::{partitions, source};
use crate::model::source::Source;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;
use crate::store::binding;

type Ends = HashMap<(String, i32), i64>;

/// How far each partition is read: as far as the live tables hold its records, and to its end for tables
/// that were never applied to and are to be made.
pub(super) struct ReplayTargets {
    places: Vec<(TopicPartition, Watermarks)>,
    ends: Ends,
    new: bool,
    source: Source,
    /// The topic that holds nothing of the tables.
    dead_letters: String,
}

impl ReplayTargets {
    /// Finds them.
    ///
    /// # Errors
    /// [`Stop::Guard`] where the tables belong to other topics or don't stand within these.
    pub(super) async fn find(
        session: &mut PgConnection,
        args: &TopicsArgs,
        intent: Intent,
    ) -> anyhow::Result<Self> {
        // The tables first: consumers go on, and would else stand beyond where the topics ended a while ago.
        let dead_letters = args.kafka.topics().dead_letters();
        let ends = read(session, &dead_letters).await?;
        binding::check_prefix(session, &args.kafka.topic_prefix).await?;
        let source = source::find(&args.kafka).await?;
        binding::check(session, &source).await?;
        let places = partitions::data_partitions(&args.kafka).await?;
        let data = places.into_iter().filter(|place| place.kind != TopicKind::DeadLetters).collect();
        let places = partitions::watermarks(&args.kafka, data).await?;
        let mut targets = Self { places, dead_letters, ends, new: false, source };
        targets.check()?;
        for (place, marks) in &targets.places {
            targets.end(place).map_or(Ok(()), |end| marks.check(place, end))?;
        }
        if targets.ends.is_empty() && intent == Intent::Mend {
            targets.new = true;
            targets.ends = committed_ends(&args.kafka, &targets.places).await?;
        }
        Ok(targets)
    }

    /// Reads again how far the live tables have got.
    ///
    /// # Errors
    /// When a consumer has begun to fill tables that were new.
    pub(super) async fn renew(&mut self, session: &mut PgConnection) -> anyhow::Result<()> {
        let ends = read(session, &self.dead_letters).await?;
        if !self.new {
            self.ends = ends;
            return Ok(self.check()?);
        }
        if !ends.is_empty() {
            bail!("a consumer has begun to fill these tables, which were new: start again");
        }
        Ok(())
    }

    /// Whether the tables were never applied to, so that they take the shadow's books over.
    pub(super) const fn are_new(&self) -> bool {
        self.new
    }

    /// What is read, which new tables belong to from now on.
    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Each partition with its first offset and how far it is read.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (&TopicPartition, i64, i64)> {
        self.places.iter().map(|(place, marks)| (place, marks.low, self.end(place).unwrap_or(marks.low)))
    }

    fn end(&self, place: &TopicPartition) -> Option<i64> {
        self.ends.get(&(place.topic.clone(), place.partition)).copied()
    }

    /// All that the tables were made from must be read.
    fn check(&self) -> Result<(), Stop> {
        let is_known = |(topic, partition): &(String, i32)| {
            self.places.iter().any(|(place, _)| place.topic == *topic && place.partition == *partition)
        };
        match self.ends.keys().find(|place| !is_known(place)) {
            None => Ok(()),
            Some((topic, partition)) => Err(Stop::Guard(format!(
                "the tables were made from {topic}[{partition}] too, which is not among the topics that are read: \
                 look at --topic-prefix, or start again if the partition is new"
            ))),
        }
    }
}

async fn read(session: &mut PgConnection, dead_letters: &str) -> sqlx::Result<Ends> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as(include_str!("../../../sql/rebuild/read_replay_targets.sql"))
            .bind(dead_letters)
            .fetch_all(session)
            .await?;
    Ok(rows.into_iter().map(|(topic, partition, end)| ((topic, partition), end)).collect())
}

/// Where readers of committed records find the ends now. What an open transaction holds back is left to the
/// consumers.
async fn committed_ends(kafka: &KafkaArgs, places: &[(TopicPartition, Watermarks)]) -> anyhow::Result<Ends> {
    let config = kafka.client_config(&[
        // Never joined: a consumer needs a name for its group all the same.
        ("group.id", "catalog-consumer-rebuild"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("allow.auto.create.topics", "false"),
    ])?;
    let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
    let places: Vec<TopicPartition> = places.iter().map(|(place, _)| place.clone()).collect();
    let end = move |TopicPartition { topic, partition, .. }: TopicPartition| {
        let (_, end) = watermarks::watermarks(&client, &topic, partition)
            .with_context(|| format!("can't read the end of {topic}[{partition}]"))?;
        Ok(((topic, partition), end))
    };
    spawn_blocking(move || places.into_iter().map(end).collect()).await?
}
