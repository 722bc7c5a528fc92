//! The replay: reads the topics from their first records to the targets into the shadow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use catalog_shared::events;
use catalog_shared::kafka::{KafkaArgs, LogContext};
use catalog_shared::topics::Topics;
use futures::{FutureExt, StreamExt};
use rdkafka::consumer::{Consumer, MessageStream};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::args::ReplaySourceArgs;
use super::loss;
use super::partition_replay::{AppliedBatch, PartitionReplay, apply_to_shadow};
use super::pass::GROUP;
use super::selection::Selection;
use super::targets::ReplayTargets;
use super::touched::TouchedKeys;
use crate::config::thresholds::BatchSettings;
use crate::decode::row_key::{Head, RowId};
use crate::kafka::detached_reader::DetachedReader;
use crate::kafka::reader::TopicReader;
use crate::model::record::Record;
use crate::model::topic::{PartitionId, TopicKind, TopicPartition};
use crate::store::positions;

mod fetching;
mod progress;
mod two_passes;

/// Interval at which due batches are applied and positions are checked.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(20);
/// The number of waiting messages that are received before batches are looked at.
const BURST: usize = 256;

/// A replay of all data topics.
pub(super) struct Replay {
    reader: DetachedReader,
    kafka: KafkaArgs,
    topics: Topics,
    pool: PgPool,
    connections: usize,
    permits: Arc<Semaphore>,
    batch_size: usize,
    settings: BatchSettings,
    replays: HashMap<PartitionId, PartitionReplay>,
    batches: JoinSet<anyhow::Result<AppliedBatch>>,
    /// The records that are applied.
    selection: Selection,
    /// The rows of records that became dead letters in the current pass.
    unapplied: HashSet<RowId>,
    /// The keys of the records since the snapshot; `None` before it.
    touched: Option<TouchedKeys>,
    records: u64,
    progressed: Instant,
    reported: Instant,
}

impl Replay {
    /// Opens the reader, and sets the position of every partition in the shadow to its first offset.
    pub(super) async fn start(
        args: &ReplaySourceArgs,
        pool: PgPool,
        targets: &ReplayTargets,
    ) -> anyhow::Result<Self> {
        let mut replays = HashMap::new();
        for (topic_partition, low, _) in targets.ranges() {
            let position = positions::start(&pool, topic_partition, None, low).await?.offset();
            replays.insert(topic_partition.id(), PartitionReplay::new(topic_partition.clone(), position));
        }
        Ok(Self {
            reader: DetachedReader::open(&args.kafka, GROUP)?,
            kafka: args.kafka.clone(),
            topics: args.kafka.topics(),
            pool,
            connections: usize::from(args.apply.connections),
            permits: Arc::new(Semaphore::new(args.apply.connections.into())),
            batch_size: usize::from(args.apply.batch_size),
            settings: args.apply.batch_settings(),
            replays,
            batches: JoinSet::new(),
            selection: Selection::All,
            unapplied: HashSet::new(),
            touched: None,
            records: 0,
            progressed: Instant::now(),
            reported: Instant::now(),
        })
    }

    /// The number of records that were applied.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// Collects the keys of the records that are read from now on.
    pub(super) fn collect_keys(&mut self) {
        self.touched = Some(TouchedKeys::default());
    }

    /// The collected keys.
    pub(super) const fn touched(&self) -> Option<&TouchedKeys> {
        self.touched.as_ref()
    }

    /// Whether a position of the shadow is beyond its target, because a live position was set back or deleted.
    pub(super) fn is_beyond(&self, targets: &ReplayTargets) -> bool {
        targets.ranges().any(|(topic_partition, _, target)| {
            self.replays.get(&topic_partition.id()).is_some_and(|replay| replay.partition.position > target)
        })
    }

    /// The number of offsets left to read.
    pub(super) fn left(&self, targets: &ReplayTargets) -> i64 {
        let position = |topic_partition: &TopicPartition, low| {
            self.replays.get(&topic_partition.id()).map_or(low, |replay| replay.partition.position)
        };
        targets
            .ranges()
            .map(|(topic_partition, low, target)| (target - position(topic_partition, low)).max(0))
            .sum()
    }

    /// Reads every partition up to its target.
    ///
    /// # Errors
    /// A record of a newer schema, an error of Kafka or the database, or no progress for [`STALL_TIMEOUT`].
    pub(super) async fn read_to(&mut self, targets: &ReplayTargets) -> anyhow::Result<()> {
        let reader = Arc::clone(self.reader.get());
        self.assign(&reader, targets)?;
        self.progressed = Instant::now();
        let mut messages = reader.stream();
        let mut tick = interval(HOUSEKEEPING_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.replays.values().any(|replay| replay.left() > 0) {
            tokio::select! {
                biased;
                Some(finished) = self.batches.join_next() => self.finish(finished?)?,
                _ = tick.tick() => self.housekeeping(&reader)?,
                message = messages.next() => self.receive_ready(&reader, message, &mut messages).await?,
            }
            self.apply_due();
            self.pause_and_resume(&reader)?;
        }
        Ok(())
    }

    /// Receives a message, and those that wait behind it.
    async fn receive_ready(
        &mut self,
        reader: &TopicReader,
        first: Option<KafkaResult<BorrowedMessage<'_>>>,
        messages: &mut MessageStream<'_, LogContext>,
    ) -> anyhow::Result<()> {
        let (mut next, mut left) = (first, BURST);
        while let Some(message) = next {
            self.receive(reader, message).await?;
            left -= 1;
            next = if left > 0 { messages.next().now_or_never().flatten() } else { None };
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        reader: &TopicReader,
        message: Result<BorrowedMessage<'_>, KafkaError>,
    ) -> anyhow::Result<()> {
        match message {
            Ok(message) => self.take(reader, &message),
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
                bail!("{}: run the command again", self.lost_records().await?)
            }
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => Err(error.into()),
            // The client recovers by itself, and its context has logged the error.
            Err(error) => {
                tracing::debug!(%error, "receiving");
                Ok(())
            }
        }
    }

    /// Names the partition that lost records during the replay.
    async fn lost_records(&self) -> anyhow::Result<String> {
        let position =
            |replay: &PartitionReplay| (replay.partition.topic_partition.clone(), replay.partition.position);
        loss::find_lost_during_replay(&self.kafka, self.replays.values().map(position).collect()).await
    }

    fn take(&mut self, reader: &TopicReader, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let kind = TopicKind::of(&self.topics, message.topic());
        let replay = kind.and_then(|kind| self.replays.get_mut(&(kind, message.partition())));
        let Some(replay) = replay else { return Ok(()) };
        if replay.received_to(message.offset()) {
            replay.pause(reader)?;
        }
        if replay.is_beyond_target(message.offset()) {
            return Ok(());
        }
        let id = replay.partition.topic_partition.id();
        let head = || Head { stamp: Record::stamp(message), key: message.key(), has_value: true };
        if !self.selection.contains(id, message.offset(), || head().find_row(id.0)) {
            replay.partition.push(Record::superseded(message.offset()), Instant::now());
            return Ok(());
        }
        let record = Record::from_message(message).map_err(|schema| {
            anyhow!(
                "{} offset {} has schema {schema}, which this build can't read: upgrade catalog-consumer",
                replay.partition.topic_partition,
                message.offset()
            )
        })?;
        self.touched.iter_mut().for_each(|touched| touched.add(&record));
        replay.partition.push(record, Instant::now());
        Ok(())
    }

    /// Finds partitions that were received up to their targets, detects a stall, and logs the progress.
    fn housekeeping(&mut self, reader: &TopicReader) -> anyhow::Result<()> {
        for element in reader.position()?.elements() {
            let Some(kind) = TopicKind::of(&self.topics, element.topic()) else { continue };
            let Some(offset) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
            if let Some(replay) = self.replays.get_mut(&(kind, element.partition()))
                && replay.received_to(offset)
            {
                replay.pause(reader)?;
            }
        }
        self.check_progress()
    }

    fn apply_due(&mut self) {
        let now = Instant::now();
        for replay in self.replays.values_mut() {
            // One batch more than there are connections, so that it is decoded while the others are applied.
            if self.batches.len() > self.connections {
                return;
            }
            let Some(batch) = replay.next_batch(self.batch_size, now) else { continue };
            let (pool, permits, settings) = (self.pool.clone(), Arc::clone(&self.permits), self.settings);
            self.records += batch.records.len() as u64;
            self.batches.spawn(async move { apply_to_shadow(&pool, &permits, batch, settings).await });
        }
    }

    fn finish(&mut self, applied: anyhow::Result<AppliedBatch>) -> anyhow::Result<()> {
        let AppliedBatch { topic_partition, to, unapplied } = applied?;
        tracing::debug!(
            event = events::BATCH_REPLAYED,
            topic = topic_partition.topic,
            partition = topic_partition.partition,
            to,
            "batch replayed"
        );
        self.progressed = Instant::now();
        self.unapplied.extend(unapplied);
        if let Some(replay) = self.replays.get_mut(&topic_partition.id()) {
            replay.partition.applied(to);
        }
        Ok(())
    }
}
