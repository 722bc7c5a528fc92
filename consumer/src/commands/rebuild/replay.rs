//! The replay: reads the topics from their first records into the shadow, as far as it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::topics::Topics;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::args::TopicsArgs;
use super::partition_replay::PartitionReplay;
use super::targets::ReplayTargets;
use crate::config::thresholds::Thresholds;
use crate::kafka::group::list;
use crate::kafka::partitions;
use crate::kafka::reader::{self, Reader};
use crate::model::batch::Batch;
use crate::model::record::Record;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;
use crate::store::apply::{Failure, Outcome, apply};
use crate::store::positions;

/// How often batches that have waited long enough and the ends of partitions are looked after.
const TICK: Duration = Duration::from_millis(20);
/// How often a line tells how far the replay is.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How long nothing may move before the replay gives up: it may be holding the live consumers off.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The group whose name its reader bears.
const GROUP: &str = "catalog-consumer-rebuild";

/// A replay of all data topics.
pub(super) struct Replay {
    reader: Option<Arc<Reader>>,
    kafka: KafkaArgs,
    topics: Topics,
    pool: PgPool,
    connections: usize,
    permits: Arc<Semaphore>,
    batch_size: usize,
    thresholds: Thresholds,
    replays: HashMap<(TopicKind, i32), PartitionReplay>,
    batches: JoinSet<anyhow::Result<(TopicPartition, i64)>>,
    records: u64,
    moved: Instant,
    reported: Instant,
}

impl Replay {
    /// Opens the reader, and puts every partition's position in the shadow at its first offset.
    pub(super) async fn start(
        args: &TopicsArgs,
        pool: PgPool,
        targets: &ReplayTargets,
    ) -> anyhow::Result<Self> {
        let mut replays = HashMap::new();
        for (place, low, _) in targets.ranges() {
            let position = positions::start(&pool, place, None, low).await?.offset();
            replays.insert((place.kind, place.partition), PartitionReplay::new(place.clone(), position));
        }
        Ok(Self {
            reader: Some(Arc::new(reader::open(&args.kafka, GROUP)?)),
            kafka: args.kafka.clone(),
            topics: args.kafka.topics(),
            pool,
            connections: usize::from(args.apply.connections),
            permits: Arc::new(Semaphore::new(args.apply.connections.into())),
            batch_size: usize::from(args.apply.batch_size),
            thresholds: args.apply.thresholds(),
            replays,
            batches: JoinSet::new(),
            records: 0,
            moved: Instant::now(),
            reported: Instant::now(),
        })
    }

    /// How many records were applied.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// How many offsets are left to read.
    pub(super) fn left(&self, targets: &ReplayTargets) -> i64 {
        let replay = |place: &TopicPartition| self.replays.get(&(place.kind, place.partition));
        let stands =
            |place: &TopicPartition, low| replay(place).map_or(low, |replay| replay.partition.position);
        targets.ranges().map(|(place, low, end)| (end - stands(place, low)).max(0)).sum()
    }

    /// Reads every partition to its goal and no further.
    ///
    /// # Errors
    /// A record that can't be read, what Kafka or the database said, or that nothing moves any more.
    pub(super) async fn read_to(&mut self, targets: &ReplayTargets) -> anyhow::Result<()> {
        let Some(reader) = self.reader.clone() else { return Ok(()) };
        self.assign(&reader, targets)?;
        self.moved = Instant::now();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.replays.values().any(|replay| replay.left() > 0) {
            tokio::select! {
                biased;
                Some(done) = self.batches.join_next() => self.finish(done?)?,
                _ = tick.tick() => self.housekeeping(&reader)?,
                message = reader.recv() => self.receive(&reader, message).await?,
            }
            self.apply_due();
            self.pause_and_resume(&reader)?;
        }
        Ok(())
    }

    /// Assigns what is not at its goal, from where it stands.
    fn assign(&mut self, reader: &Reader, targets: &ReplayTargets) -> anyhow::Result<()> {
        let mut starts = TopicPartitionList::new();
        for (place, _, end) in targets.ranges() {
            let Some(replay) = self.replays.get_mut(&(place.kind, place.partition)) else { continue };
            if replay.assign(end) {
                let position = Offset::Offset(replay.partition.position);
                starts.add_partition_offset(&place.topic, place.partition, position)?;
            }
        }
        reader.assign(&starts).context("can't read the topics")?;
        // A pause outlives an assignment.
        reader.resume(&starts).context("can't read the topics")
    }

    async fn receive(
        &mut self,
        reader: &Reader,
        message: Result<BorrowedMessage<'_>, KafkaError>,
    ) -> anyhow::Result<()> {
        match message {
            Ok(message) => self.take(reader, &message),
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
                bail!("{}: start again", self.loss().await?)
            }
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => Err(error.into()),
            // The client goes on by itself, and its context has told of it.
            Err(error) => {
                tracing::debug!(%error, "receiving");
                Ok(())
            }
        }
    }

    /// Which partition has lost records while it was read.
    async fn loss(&self) -> anyhow::Result<String> {
        let places = self.replays.values().map(|replay| replay.partition.place.clone()).collect();
        let marks = partitions::watermarks(&self.kafka, places).await?;
        let lost = marks.into_iter().find_map(|(place, Watermarks { low, high })| {
            let position = self.replays.get(&(place.kind, place.partition))?.partition.position;
            let TopicPartition { topic, partition, .. } = place;
            (position < low).then(|| {
                format!(
                    "{topic}[{partition}] has lost records while it was read: the rebuild stands at {position}, \
                     and it holds offsets {low} to {high}"
                )
            })
        });
        Ok(lost.unwrap_or_else(|| "a partition has lost records while it was read".to_owned()))
    }

    fn take(&mut self, reader: &Reader, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let kind = TopicKind::of(&self.topics, message.topic());
        let replay = kind.and_then(|kind| self.replays.get_mut(&(kind, message.partition())));
        let Some(replay) = replay else { return Ok(()) };
        if replay.received_to(message.offset()) {
            pause(reader, &replay.partition.place)?;
        }
        if replay.lies_beyond(message.offset()) {
            return Ok(());
        }
        let record = Record::from_message(message).map_err(|schema| {
            let TopicPartition { topic, partition, .. } = &replay.partition.place;
            anyhow!(
                "{topic}[{partition}] offset {} has schema {schema}: upgrade this consumer",
                message.offset()
            )
        })?;
        replay.partition.push(record, Instant::now());
        Ok(())
    }

    /// Learns which partitions are received to their targets, and tells how far the replay is.
    fn housekeeping(&mut self, reader: &Reader) -> anyhow::Result<()> {
        for element in reader.position()?.elements() {
            let Some(kind) = TopicKind::of(&self.topics, element.topic()) else { continue };
            let Some(offset) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
            if let Some(replay) = self.replays.get_mut(&(kind, element.partition()))
                && replay.received_to(offset)
            {
                pause(reader, &replay.partition.place)?;
            }
        }
        let slowest = self.replays.values().max_by_key(|replay| replay.left());
        if let Some(replay) = slowest
            && self.moved.elapsed() >= STALL_TIMEOUT
        {
            let TopicPartition { topic, partition, .. } = &replay.partition.place;
            let (stands, waited) = (replay.partition.position, STALL_TIMEOUT.as_secs());
            bail!(
                "nothing has moved for {waited} s: {topic}[{partition}] stands at {stands}, {} short",
                replay.left()
            );
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let left: i64 = self.replays.values().map(PartitionReplay::left).sum();
            tracing::info!(records = self.records, offsets_left = left, "replayed so far");
        }
        Ok(())
    }

    fn apply_due(&mut self) {
        let now = Instant::now();
        for replay in self.replays.values_mut() {
            // One more than there are connections, to be decoded meanwhile.
            if self.batches.len() > self.connections {
                return;
            }
            let Some(batch) = replay.next_batch(self.batch_size, now) else { continue };
            let (pool, permits, thresholds) = (self.pool.clone(), Arc::clone(&self.permits), self.thresholds);
            self.records += batch.records.len() as u64;
            self.batches.spawn(async move { apply_to_shadow(&pool, &permits, batch, thresholds).await });
        }
    }

    fn finish(&mut self, done: anyhow::Result<(TopicPartition, i64)>) -> anyhow::Result<()> {
        let (place, to) = done?;
        tracing::debug!(topic = place.topic, partition = place.partition, to, "batch replayed");
        self.moved = Instant::now();
        if let Some(replay) = self.replays.get_mut(&(place.kind, place.partition)) {
            replay.partition.applied(to);
        }
        Ok(())
    }

    fn pause_and_resume(&mut self, reader: &Reader) -> anyhow::Result<()> {
        for replay in self.replays.values_mut() {
            match replay.pause_changes() {
                Some(true) => pause(reader, &replay.partition.place)?,
                Some(false) => reader.resume(&list(&replay.partition.place))?,
                None => continue,
            }
            replay.partition.paused = !replay.partition.paused;
        }
        Ok(())
    }
}

impl Drop for Replay {
    /// Closing a client waits for its threads, and the runtime's own must not.
    fn drop(&mut self) {
        let reader = self.reader.take();
        std::thread::spawn(move || drop(reader));
    }
}

/// Applies a batch; tells how far its partition is then.
async fn apply_to_shadow(
    pool: &PgPool,
    permits: &Semaphore,
    batch: Batch,
    thresholds: Thresholds,
) -> anyhow::Result<(TopicPartition, i64)> {
    match apply(pool, permits, &batch, thresholds).await {
        Ok(Outcome::Applied { .. }) => Ok((batch.place, batch.to)),
        Ok(Outcome::Stale { .. } | Outcome::Abandoned) => bail!("somebody else has written to the shadow"),
        Err(Failure { error, .. }) => Err(error),
    }
}

fn pause(reader: &Reader, place: &TopicPartition) -> anyhow::Result<()> {
    reader.pause(&list(place)).with_context(|| format!("can't pause {}[{}]", place.topic, place.partition))
}
