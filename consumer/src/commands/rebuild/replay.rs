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

use super::TopicsArgs;
use super::goals::Goals;
use super::track::Track;
use crate::apply::positions;
use crate::apply::{Bounds, Failure, Outcome, apply};
use crate::batch::{Batch, Place, TopicKind};
use crate::consume::caught_up::{self, Watermarks};
use crate::consume::group::list;
use crate::consume::reader::{self, Reader};
use crate::consume::received::Received;

/// How often batches that have waited long enough and the ends of partitions are looked after.
const SWEEP: Duration = Duration::from_millis(20);
/// How often a line tells how far the replay is.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// How long nothing may move before the replay gives up: it may be holding the live consumers off.
const PATIENCE: Duration = Duration::from_secs(60);

/// The group whose name its reader bears.
const GROUP: &str = "catalog-consumer-rebuild";

/// A replay of all data topics.
pub(super) struct Replay {
    reader: Option<Arc<Reader>>,
    kafka: KafkaArgs,
    topics: Topics,
    pool: PgPool,
    connections: usize,
    turns: Arc<Semaphore>,
    batch_size: usize,
    bounds: Bounds,
    tracks: HashMap<(TopicKind, i32), Track>,
    batches: JoinSet<anyhow::Result<(Place, i64)>>,
    records: u64,
    moved: Instant,
    reported: Instant,
}

impl Replay {
    /// Opens the reader, and puts every partition's position in the shadow at its first offset.
    pub(super) async fn start(args: &TopicsArgs, pool: PgPool, goals: &Goals) -> anyhow::Result<Self> {
        let mut tracks = HashMap::new();
        for (place, low, _) in goals.stretches() {
            let position = positions::start(&pool, place, None, low).await?.offset();
            tracks.insert((place.kind, place.partition), Track::new(place.clone(), position));
        }
        Ok(Self {
            reader: Some(Arc::new(reader::open(&args.kafka, GROUP)?)),
            kafka: args.kafka.clone(),
            topics: args.kafka.topics(),
            pool,
            connections: usize::from(args.apply.connections),
            turns: Arc::new(Semaphore::new(args.apply.connections.into())),
            batch_size: usize::from(args.apply.batch_size),
            bounds: args.apply.bounds(),
            tracks,
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
    pub(super) fn left(&self, goals: &Goals) -> i64 {
        let track = |place: &Place| self.tracks.get(&(place.kind, place.partition));
        let stands = |place: &Place, low| track(place).map_or(low, |track| track.partition.position);
        goals.stretches().map(|(place, low, end)| (end - stands(place, low)).max(0)).sum()
    }

    /// Reads every partition to its goal and no further.
    ///
    /// # Errors
    /// A record that can't be read, what Kafka or the database said, or that nothing moves any more.
    pub(super) async fn read_to(&mut self, goals: &Goals) -> anyhow::Result<()> {
        let Some(reader) = self.reader.clone() else { return Ok(()) };
        self.aim(&reader, goals)?;
        self.moved = Instant::now();
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.tracks.values().any(|track| track.left() > 0) {
            tokio::select! {
                biased;
                Some(done) = self.batches.join_next() => self.settle(done?)?,
                _ = sweep.tick() => self.sweep(&reader)?,
                message = reader.recv() => self.receive(&reader, message).await?,
            }
            self.apply_due();
            self.pause_and_resume(&reader)?;
        }
        Ok(())
    }

    /// Assigns what is not at its goal, from where it stands.
    fn aim(&mut self, reader: &Reader, goals: &Goals) -> anyhow::Result<()> {
        let mut starts = TopicPartitionList::new();
        for (place, _, goal) in goals.stretches() {
            let Some(track) = self.tracks.get_mut(&(place.kind, place.partition)) else { continue };
            if track.aim(goal) {
                let position = Offset::Offset(track.partition.position);
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
        let places = self.tracks.values().map(|track| track.partition.place.clone()).collect();
        let marks = caught_up::watermarks(&self.kafka, places).await?;
        let lost = marks.into_iter().find_map(|(place, Watermarks { low, high })| {
            let position = self.tracks.get(&(place.kind, place.partition))?.partition.position;
            let Place { topic, partition, .. } = place;
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
        let track = kind.and_then(|kind| self.tracks.get_mut(&(kind, message.partition())));
        let Some(track) = track else { return Ok(()) };
        if track.received_to(message.offset()) {
            pause(reader, &track.partition.place)?;
        }
        if track.lies_beyond(message.offset()) {
            return Ok(());
        }
        let record = Received::from_message(message).map_err(|schema| {
            let Place { topic, partition, .. } = &track.partition.place;
            anyhow!(
                "{topic}[{partition}] offset {} has schema {schema}: upgrade this consumer",
                message.offset()
            )
        })?;
        track.partition.push(record, Instant::now());
        Ok(())
    }

    /// Learns which partitions are received to their goals, and tells how far the replay is.
    fn sweep(&mut self, reader: &Reader) -> anyhow::Result<()> {
        for element in reader.position()?.elements() {
            let Some(kind) = TopicKind::of(&self.topics, element.topic()) else { continue };
            let Some(offset) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
            if let Some(track) = self.tracks.get_mut(&(kind, element.partition()))
                && track.received_to(offset)
            {
                pause(reader, &track.partition.place)?;
            }
        }
        let slowest = self.tracks.values().max_by_key(|track| track.left());
        if let Some(track) = slowest
            && self.moved.elapsed() >= PATIENCE
        {
            let Place { topic, partition, .. } = &track.partition.place;
            let (stands, waited) = (track.partition.position, PATIENCE.as_secs());
            bail!(
                "nothing has moved for {waited} s: {topic}[{partition}] stands at {stands}, {} short",
                track.left()
            );
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let left: i64 = self.tracks.values().map(Track::left).sum();
            tracing::info!(records = self.records, offsets_left = left, "replayed so far");
        }
        Ok(())
    }

    fn apply_due(&mut self) {
        let now = Instant::now();
        for track in self.tracks.values_mut() {
            // One more than there are connections, to be decoded meanwhile.
            if self.batches.len() > self.connections {
                return;
            }
            let Some(batch) = track.next_batch(self.batch_size, now) else { continue };
            let (pool, turns, bounds) = (self.pool.clone(), Arc::clone(&self.turns), self.bounds);
            self.records += batch.records.len() as u64;
            self.batches.spawn(async move { apply_to_shadow(&pool, &turns, batch, bounds).await });
        }
    }

    fn settle(&mut self, done: anyhow::Result<(Place, i64)>) -> anyhow::Result<()> {
        let (place, to) = done?;
        tracing::debug!(topic = place.topic, partition = place.partition, to, "batch replayed");
        self.moved = Instant::now();
        if let Some(track) = self.tracks.get_mut(&(place.kind, place.partition)) {
            track.partition.applied(to);
        }
        Ok(())
    }

    fn pause_and_resume(&mut self, reader: &Reader) -> anyhow::Result<()> {
        for track in self.tracks.values_mut() {
            match track.pause_changes() {
                Some(true) => pause(reader, &track.partition.place)?,
                Some(false) => reader.resume(&list(&track.partition.place))?,
                None => continue,
            }
            track.partition.paused = !track.partition.paused;
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
    turns: &Semaphore,
    batch: Batch,
    bounds: Bounds,
) -> anyhow::Result<(Place, i64)> {
    match apply(pool, turns, &batch, bounds).await {
        Ok(Outcome::Applied { .. }) => Ok((batch.place, batch.to)),
        Ok(Outcome::Stale { .. } | Outcome::GivenUp) => bail!("somebody else has written to the shadow"),
        Err(Failure { error, .. }) => Err(error),
    }
}

fn pause(reader: &Reader, place: &Place) -> anyhow::Result<()> {
    reader.pause(&list(place)).with_context(|| format!("can't pause {}[{}]", place.topic, place.partition))
}
