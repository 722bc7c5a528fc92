//! The replay targets: the offset up to which each partition is read.

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::watermarks;
use rdkafka::consumer::BaseConsumer;
use sqlx::PgConnection;
use tokio::task::spawn_blocking;

use super::args::ReplaySourceArgs;
use super::intent::Intent;
use crate::kafka::data_partitions::data_partitions;
use crate::kafka::{partitions, source};
use crate::model::positions::Positions;
use crate::model::source::Source;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;
use crate::store::binding;

/// The partitions and their targets. A partition is read as far as the live tables contain its records, or to its end if
/// the live tables are empty and will be filled.
pub(super) struct ReplayTargets {
    topic_partitions: Vec<(TopicPartition, Watermarks)>,
    /// The target offsets.
    offsets: Positions,
    /// Whether an operator has set a position back, and consumers have not read up to the old one again.
    set_back: bool,
    new: bool,
    source: Source,
    /// The topic of producers' dead letters, which is not replayed.
    dead_letters: String,
}

impl ReplayTargets {
    /// Finds the targets.
    ///
    /// # Errors
    /// [`Stop::Guard`] if the tables belong to other topics or their positions are outside of these.
    pub(super) async fn find(
        session: &mut PgConnection,
        args: &ReplaySourceArgs,
        intent: Intent,
    ) -> anyhow::Result<Self> {
        // The positions are read before the watermarks, because running consumers may move past watermarks that were read first.
        let dead_letters = args.kafka.topics().dead_letters();
        let (offsets, set_back) = read_positions(session, &dead_letters).await?;
        binding::check_prefix(session, &args.kafka.topic_prefix).await?;
        let source = source::find(&args.kafka).await?;
        binding::check(session, &source).await?;
        let topic_partitions = data_partitions(&args.kafka).await?;
        let data = topic_partitions
            .into_iter()
            .filter(|topic_partition| topic_partition.kind != TopicKind::DeadLetters)
            .collect();
        let topic_partitions = partitions::watermarks(&args.kafka, data).await?;
        let mut targets = Self { topic_partitions, dead_letters, offsets, set_back, new: false, source };
        targets.check()?;
        for (topic_partition, marks) in &targets.topic_partitions {
            targets.target(topic_partition).map_or(Ok(()), |end| marks.check(topic_partition, end))?;
        }
        if targets.offsets.is_empty() && intent == Intent::Repair {
            targets.new = true;
            targets.offsets = committed_ends(&args.kafka, &targets.topic_partitions).await?;
        }
        Ok(targets)
    }

    /// Reads the positions of the live tables again.
    ///
    /// # Errors
    /// A consumer has started to fill the new tables.
    pub(super) async fn refresh(&mut self, session: &mut PgConnection) -> anyhow::Result<()> {
        let (offsets, set_back) = read_positions(session, &self.dead_letters).await?;
        if !self.new {
            (self.offsets, self.set_back) = (offsets, set_back);
            return Ok(self.check()?);
        }
        if !offsets.is_empty() {
            bail!("a consumer has started to fill these new tables: run the command again");
        }
        Ok(())
    }

    /// Whether the live tables are empty, so that they receive the ledger of the shadow.
    pub(super) const fn are_new(&self) -> bool {
        self.new
    }

    /// Whether consumers apply records again that the tables already contain.
    pub(super) const fn are_set_back(&self) -> bool {
        self.set_back
    }

    /// The cluster and the topics that are read. New tables belong to them from now on.
    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Each partition with its first offset and its target.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (&TopicPartition, i64, i64)> {
        self.topic_partitions.iter().map(|(topic_partition, marks)| {
            (topic_partition, marks.low, self.target(topic_partition).unwrap_or(marks.low))
        })
    }

    fn target(&self, topic_partition: &TopicPartition) -> Option<i64> {
        self.offsets.get(topic_partition)
    }

    /// Checks that every partition that the tables were filled from is read.
    fn check(&self) -> Result<(), Stop> {
        let is_known = |(topic, partition): &(&str, i32)| {
            self.topic_partitions.iter().any(|(topic_partition, _)| {
                topic_partition.topic == *topic && topic_partition.partition == *partition
            })
        };
        match self.offsets.partitions().find(|topic_partition| !is_known(topic_partition)) {
            None => Ok(()),
            Some((topic, partition)) => Err(Stop::Guard(format!(
                "the tables were filled from {topic}[{partition}] too, which is not among the topics that are read: \
                 check --topic-prefix, or run the command again if the partition is new"
            ))),
        }
    }
}

/// Reads the targets, and whether a position is set back.
async fn read_positions(session: &mut PgConnection, dead_letters: &str) -> sqlx::Result<(Positions, bool)> {
    let rows: Vec<(String, i32, i64, bool)> =
        sqlx::query_as(include_str!("../../../sql/rebuild/read_end_positions.sql"))
            .bind(dead_letters)
            .fetch_all(session)
            .await?;
    let set_back = rows.iter().any(|(.., set_back)| *set_back);
    let offsets = rows.into_iter().map(|(topic, partition, end, _)| ((topic, partition), end));
    Ok((offsets.collect(), set_back))
}

/// The current end offsets of committed records. Consumers apply the records of open transactions later.
async fn committed_ends(
    kafka: &KafkaArgs,
    topic_partitions: &[(TopicPartition, Watermarks)],
) -> anyhow::Result<Positions> {
    let config = kafka
        .reader_config(&[("group.id", "catalog-consumer-rebuild"), ("isolation.level", "read_committed")])?;
    let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
    let topic_partitions: Vec<TopicPartition> =
        topic_partitions.iter().map(|(topic_partition, _)| topic_partition.clone()).collect();
    let end = move |TopicPartition { topic, partition, .. }: TopicPartition| {
        let (_, end) = watermarks::watermarks(&client, &topic, partition)
            .with_context(|| format!("can't read the end of {topic}[{partition}]"))?;
        Ok(((topic, partition), end))
    };
    spawn_blocking(move || topic_partitions.into_iter().map(end).collect()).await?
}
