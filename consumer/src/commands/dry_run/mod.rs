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

use crate::apply::positions;
use crate::batch::{Place, TopicKind};
use crate::binding;
use crate::cli::RunArgs;
use crate::consume::beginning;
use crate::consume::caught_up::{Watermarks, places, watermarks};
use crate::consume::offsets;
use crate::consume::partition::Partition;
use crate::consume::reader::{self, Reader};
use crate::consume::receive;
use crate::consume::start::Start;
use crate::consume::summary::Summary;
use crate::database;
use tables::Tables;

mod tables;

/// How often partitions' ends and batches that have waited long enough are looked after.
const SWEEP: Duration = Duration::from_millis(100);
/// How often a line tells how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Tells what a run would apply.
///
/// # Errors
/// What would stop a run: a record that can't be read, what the database or Kafka said, or
/// [`catalog_shared::exit::Stop::Guard`].
pub(crate) async fn run(args: &RunArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    outage::reach(&args.kafka).await?;
    let mut dry_run = DryRun::start(args, Tables::make(&pool).await?).await?;
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
    tables: Tables,
    tracks: HashMap<(TopicKind, i32), Track>,
    batch_size: usize,
    summary: Summary,
    reported: Instant,
}

/// A partition, and where it ends.
struct Track {
    partition: Partition,
    end: i64,
}

impl Track {
    /// One whose next record is of a newer schema stays where it is.
    const fn is_done(&self) -> bool {
        self.is_at_its_end() || self.partition.newer.is_some()
    }

    const fn is_at_its_end(&self) -> bool {
        self.partition.position >= self.end
    }
}

impl DryRun {
    async fn start(args: &RunArgs, mut tables: Tables) -> anyhow::Result<Self> {
        binding::check_now(tables.connection(), &args.kafka).await?;
        let reader = Arc::new(reader::open(&args.kafka, &args.group)?);
        let mut tracks = HashMap::new();
        let mut list = TopicPartitionList::new();
        for (place, start, marks) in starts(args, &reader, &mut tables).await? {
            marks.check(&place, start)?;
            list.add_partition_offset(&place.topic, place.partition, Offset::Offset(start))?;
            let key = (place.kind, place.partition);
            tracks.insert(key, Track { partition: Partition::new(place, start, 0), end: marks.high });
        }
        reader.assign(&list).context("can't read the topics")?;
        Ok(Self {
            reader,
            topics: args.kafka.topics(),
            tables,
            tracks,
            batch_size: usize::from(args.apply.batch_size),
            summary: Summary::start(),
            reported: Instant::now(),
        })
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        let reader = Arc::clone(&self.reader);
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.tracks.values().all(Track::is_done) {
            tokio::select! {
                biased;
                _ = sweep.tick() => self.sweep()?,
                received = reader.recv() => self.receive(received)?,
            }
            self.write_due().await?;
        }
        Ok(())
    }

    /// Whether nothing is left that a run would have to wait with, for an upgrade.
    fn has_caught_up(&self) -> bool {
        self.tracks.values().all(Track::is_at_its_end)
    }

    /// Takes what was received, but for what has come after the start.
    fn receive(&mut self, received: KafkaResult<BorrowedMessage<'_>>) -> anyhow::Result<()> {
        let Some(message) = receive::message(received)? else { return Ok(()) };
        let kind = TopicKind::of(&self.topics, message.topic());
        let track = kind.and_then(|kind| self.tracks.get_mut(&(kind, message.partition())));
        match track {
            Some(track) if message.offset() < track.end => {
                let now = Instant::now();
                self.summary.received(now);
                receive::take(&mut track.partition, &message, now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes what is due, one batch after the other: all share a transaction.
    async fn write_due(&mut self) -> anyhow::Result<()> {
        for track in self.tracks.values_mut() {
            let now = Instant::now();
            let is_due = track.partition.is_due(self.batch_size, now);
            let batch = if is_due { track.partition.take_batch(self.batch_size, now) } else { None };
            let Some(batch) = batch else { continue };
            let (records, dead) = self.tables.write(&batch).await?;
            self.summary.add(batch.place.kind, &records, dead.len() as u64, Vec::new());
            track.partition.applied(batch.to);
        }
        Ok(())
    }

    /// Moves past what is no record, and tells how far it is.
    fn sweep(&mut self) -> anyhow::Result<()> {
        for element in self.reader.position()?.elements() {
            let kind = TopicKind::of(&self.topics, element.topic());
            let track = kind.and_then(|kind| self.tracks.get_mut(&(kind, element.partition())));
            let offset = element.offset().to_raw().filter(|offset| *offset >= 0);
            if let (Some(track), Some(offset)) = (track, offset)
                && let Some(step) = track.partition.take_step(offset)
            {
                track.partition.applied(step.to);
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
        if let Some(track) = self.tracks.values().find(|track| !track.is_done()) {
            tracing::info!(
                topic = track.partition.place.topic,
                partition = track.partition.place.partition,
                position = track.partition.position,
                end = track.end,
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
    tables: &mut Tables,
) -> anyhow::Result<Vec<(Place, i64, Watermarks)>> {
    let topics = args.kafka.topics();
    let held = positions::read(tables.connection(), &TopicKind::ALL.map(|kind| kind.topic(&topics))).await?;
    let places = places(&args.kafka).await?;
    let committed = offsets::committed(reader, &places).await?;
    let marks = watermarks(&args.kafka, places).await?;
    beginning::check_starts(&args.kafka, &held, &marks, args.accept_loss).await?;
    let start = |((place, marks), committed): ((Place, Watermarks), _)| {
        let position = held.get(&(place.topic.clone(), place.partition)).copied();
        let start = Start::decide(position, committed, marks.low).offset();
        // That topic deletes what is old, and a run goes on behind it.
        let deletes = place.kind == TopicKind::DeadLetters;
        let start = if deletes { start.max(marks.low) } else { start };
        (place, start, marks)
    };
    Ok(marks.into_iter().zip(committed).map(start).collect())
}
