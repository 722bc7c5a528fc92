//! A dry run: reads what a run would apply, from where the tables stand to where the topics end, and tells
//! what would become of it. It writes nothing that stays, joins no group and moves no offset.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::exit::Stop;
use catalog_shared::outage;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::{MissedTickBehavior, interval};

use crate::commands::run::args::RunArgs;
use crate::commands::summary::Summary;
use crate::kafka::partitions::{data_partitions, watermarks};
use crate::kafka::reader::{self, Reader};
use crate::kafka::{lost_records, offsets, receive};
use crate::model::partition::Partition;
use crate::model::start::Start;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;
use crate::store::{database, positions};
use crate::sync::source_check;
use temporary_tables::TemporaryTables;

mod temporary_tables;

/// How often partitions' ends and batches that have waited long enough are looked after.
const TICK: Duration = Duration::from_millis(100);
/// How often a line tells how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Tells what a run would apply.
///
/// # Errors
/// What would stop a run: a record that can't be read, what the database or Kafka said, or
/// [`catalog_shared::exit::Stop::Guard`].
pub(crate) async fn run(args: &RunArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    args.kafka.log_config()?;
    let pool = database::open(&args.database, 1).await?;
    outage::reach(&args.kafka).await?;
    let mut dry_run = DryRun::start(args, TemporaryTables::make(&pool).await?).await?;
    let ended = tokio::select! {
        ended = dry_run.work() => ended.map(|()| dry_run.has_caught_up()),
        () = shutdown.cancelled() => Ok(false),
    };
    let summary = dry_run.end().await;
    let caught_up = ended?;
    let summary = summary?;
    if shutdown.is_cancelled() && !caught_up {
        let error = Stop::Interrupted("the dry run is not complete".to_owned());
        return Err(summary.print_failure(args.json, (Some(caught_up), true), error.into()));
    }
    summary.print_dry(args.json, caught_up)
}

struct DryRun {
    reader: Arc<Reader>,
    topics: Topics,
    tables: TemporaryTables,
    replays: HashMap<(TopicKind, i32), PartitionReplay>,
    batch_size: usize,
    summary: Summary,
    reported: Instant,
}

/// A partition, and where it ends.
struct PartitionReplay {
    partition: Partition,
    end: i64,
}

impl PartitionReplay {
    /// One whose next record is of a newer schema stays where it is.
    const fn is_done(&self) -> bool {
        self.is_at_its_end() || self.partition.newer.is_some()
    }

    const fn is_at_its_end(&self) -> bool {
        self.partition.position >= self.end
    }
}

impl DryRun {
    async fn start(args: &RunArgs, mut tables: TemporaryTables) -> anyhow::Result<Self> {
        source_check::check_now(tables.connection(), &args.kafka).await?;
        let reader = Arc::new(reader::open(&args.kafka, &args.group)?);
        let mut replays = HashMap::new();
        let mut list = TopicPartitionList::new();
        for (place, start, marks) in starts(args, &reader, &mut tables).await? {
            marks.check(&place, start)?;
            list.add_partition_offset(&place.topic, place.partition, Offset::Offset(start))?;
            let key = (place.kind, place.partition);
            replays
                .insert(key, PartitionReplay { partition: Partition::new(place, start, 0), end: marks.high });
        }
        reader.assign(&list).context("can't read the topics")?;
        Ok(Self {
            reader,
            topics: args.kafka.topics(),
            tables,
            replays,
            batch_size: usize::from(args.apply.batch_size),
            summary: Summary::start(),
            reported: Instant::now(),
        })
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        let reader = Arc::clone(&self.reader);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.replays.values().all(PartitionReplay::is_done) {
            tokio::select! {
                biased;
                _ = tick.tick() => self.housekeeping()?,
                received = reader.recv() => self.receive(received)?,
            }
            self.write_due().await?;
        }
        Ok(())
    }

    /// Whether nothing is left that a run would have to wait with, for an upgrade.
    fn has_caught_up(&self) -> bool {
        self.replays.values().all(PartitionReplay::is_at_its_end)
    }

    /// Takes what was received, but for what has come after the start.
    fn receive(&mut self, received: KafkaResult<BorrowedMessage<'_>>) -> anyhow::Result<()> {
        let Some(message) = receive::message(received)? else { return Ok(()) };
        let kind = TopicKind::of(&self.topics, message.topic());
        let replay = kind.and_then(|kind| self.replays.get_mut(&(kind, message.partition())));
        match replay {
            Some(replay) if message.offset() < replay.end => {
                let now = Instant::now();
                self.summary.received(now);
                receive::take(&mut replay.partition, &message, now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes what is due, one batch after the other: all share a transaction.
    async fn write_due(&mut self) -> anyhow::Result<()> {
        for replay in self.replays.values_mut() {
            let now = Instant::now();
            let is_due = replay.partition.is_due(self.batch_size, now);
            let batch = if is_due { replay.partition.take_batch(self.batch_size, now) } else { None };
            let Some(batch) = batch else { continue };
            let (records, dead) = self.tables.write(&batch).await?;
            self.summary.add(batch.place.kind, &records, dead.len() as u64, Vec::new());
            replay.partition.applied(batch.to);
        }
        Ok(())
    }

    /// Moves past what is no record, and tells how far it is.
    fn housekeeping(&mut self) -> anyhow::Result<()> {
        for element in self.reader.position()?.elements() {
            let kind = TopicKind::of(&self.topics, element.topic());
            let replay = kind.and_then(|kind| self.replays.get_mut(&(kind, element.partition())));
            let offset = element.offset().to_raw().filter(|offset| *offset >= 0);
            if let (Some(replay), Some(offset)) = (replay, offset)
                && let Some(step) = replay.partition.take_step(offset)
            {
                replay.partition.applied(step.to);
            }
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.report();
        }
        Ok(())
    }

    fn report(&mut self) {
        self.reported = Instant::now();
        tracing::info!(records = self.summary.total(), "read so far");
        if let Some(replay) = self.replays.values().find(|replay| !replay.is_done()) {
            tracing::info!(
                topic = replay.partition.place.topic,
                partition = replay.partition.place.partition,
                position = replay.partition.position,
                end = replay.end,
                "not at the end yet; a producer's open transaction may hold records back"
            );
        }
    }

    async fn end(self) -> anyhow::Result<Summary> {
        // Closing a client waits for its threads, and the runtime's own must not.
        std::thread::spawn(move || drop(self.reader));
        self.tables.roll_back().await?;
        Ok(self.summary)
    }
}

/// Where a run would start in each partition, an operator's reset included, and where the partition ends.
async fn starts(
    args: &RunArgs,
    reader: &Arc<Reader>,
    tables: &mut TemporaryTables,
) -> anyhow::Result<Vec<(TopicPartition, i64, Watermarks)>> {
    let topics = args.kafka.topics();
    let held = positions::read(tables.connection(), &TopicKind::ALL.map(|kind| kind.topic(&topics))).await?;
    let places = data_partitions(&args.kafka).await?;
    let committed = offsets::committed(reader, &places).await?;
    let marks = watermarks(&args.kafka, places).await?;
    lost_records::check_starts(&args.kafka, &held, &marks, args.accept_loss).await?;
    let start = |((place, marks), committed): ((TopicPartition, Watermarks), _)| {
        let position = held.get(&(place.topic.clone(), place.partition)).copied();
        let start = Start::decide(position, committed, marks.low).offset();
        // That topic deletes what is old, and a run goes on behind it.
        let deletes = place.kind == TopicKind::DeadLetters;
        let start = if deletes { start.max(marks.low) } else { start };
        (place, start, marks)
    };
    Ok(marks.into_iter().zip(committed).map(start).collect())
}
