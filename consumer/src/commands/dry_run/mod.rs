//! A dry run: reads the records between the positions of the tables and the ends of the topics, and shows the effect that a
//! run would have. Everything it writes is rolled back. It joins no group and commits no offset.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::events;
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
use crate::kafka::data_partitions::data_partitions;
use crate::kafka::detached_reader::DetachedReader;
use crate::kafka::partitions::watermarks;
use crate::kafka::reader::TopicReader;
use crate::kafka::{lost_records, offsets, receive};
use crate::model::partition::Partition;
use crate::model::start::Start;
use crate::model::topic::{PartitionId, TopicKind, TopicPartition};
use crate::model::watermarks::Watermarks;
use crate::store::{database, positions};
use crate::sync::source_check;
use temporary_tables::TemporaryTables;

mod temporary_tables;

/// Interval at which due batches are written and positions are checked.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(100);
/// Interval between progress lines in the log.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Shows what `run` would apply.
///
/// # Errors
/// The errors of a run: [`Stop::Guard`] and [`Stop::Interrupted`], or an error of the database or Kafka.
pub(crate) async fn run(args: &RunArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    args.kafka.log_config()?;
    let pool = database::open(&args.database, 1).await?;
    outage::reach(&args.kafka).await?;
    let mut dry_run = DryRun::start(args, TemporaryTables::create(&pool).await?).await?;
    let worked = tokio::select! {
        worked = dry_run.work() => worked.map(|()| dry_run.has_caught_up()),
        () = shutdown.cancelled() => Ok(false),
    };
    let summary = dry_run.close().await;
    let caught_up = worked?;
    let summary = summary?;
    if shutdown.is_cancelled() && !caught_up {
        let error = Stop::Interrupted("the dry run is incomplete".to_owned());
        return Err(summary.print_failure(args.json, Some(caught_up), true, error.into()));
    }
    summary.print_dry_run(args.json, caught_up)
}

struct DryRun {
    reader: DetachedReader,
    topics: Topics,
    tables: TemporaryTables,
    partitions: HashMap<PartitionId, BoundedPartition>,
    batch_size: usize,
    summary: Summary,
    reported: Instant,
}

/// A partition, and its end offset at the start.
struct BoundedPartition {
    partition: Partition,
    end: i64,
}

impl BoundedPartition {
    /// Whether nothing is left to read. A record of a newer schema blocks its partition.
    const fn is_done(&self) -> bool {
        self.is_at_end() || self.partition.newer.is_some()
    }

    const fn is_at_end(&self) -> bool {
        self.partition.position >= self.end
    }
}

impl DryRun {
    async fn start(args: &RunArgs, mut tables: TemporaryTables) -> anyhow::Result<Self> {
        source_check::check_now(tables.connection(), &args.kafka).await?;
        let detached = DetachedReader::open(&args.kafka, &args.group)?;
        let reader = Arc::clone(detached.get());
        let mut partitions = HashMap::new();
        let mut list = TopicPartitionList::new();
        for (topic_partition, start, marks) in starts(args, &reader, &mut tables).await? {
            marks.check(&topic_partition, start)?;
            list.add_partition_offset(
                &topic_partition.topic,
                topic_partition.partition,
                Offset::Offset(start),
            )?;
            let key = topic_partition.id();
            let partition = Partition::new(topic_partition, start, 0);
            partitions.insert(key, BoundedPartition { partition, end: marks.high });
        }
        reader.assign(&list).context("can't read the topics")?;
        Ok(Self {
            reader: detached,
            topics: args.kafka.topics(),
            tables,
            partitions,
            batch_size: usize::from(args.apply.batch_size),
            summary: Summary::start(),
            reported: Instant::now(),
        })
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        let reader = Arc::clone(self.reader.get());
        let mut tick = interval(HOUSEKEEPING_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.partitions.values().all(BoundedPartition::is_done) {
            tokio::select! {
                biased;
                _ = tick.tick() => self.housekeeping()?,
                received = reader.recv() => self.receive(received)?,
            }
            self.write_due().await?;
        }
        Ok(())
    }

    /// Whether every partition reached its end, so that no record waits for an upgrade.
    fn has_caught_up(&self) -> bool {
        self.partitions.values().all(BoundedPartition::is_at_end)
    }

    /// Takes a received record, unless it was published after the start.
    fn receive(&mut self, received: KafkaResult<BorrowedMessage<'_>>) -> anyhow::Result<()> {
        let Some(message) = receive::message(received)? else { return Ok(()) };
        let kind = TopicKind::of(&self.topics, message.topic());
        let bounded = kind.and_then(|kind| self.partitions.get_mut(&(kind, message.partition())));
        match bounded {
            Some(bounded) if message.offset() < bounded.end => {
                let now = Instant::now();
                self.summary.received(now);
                receive::take(&mut bounded.partition, &message, now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the due batches one by one, because all share a transaction.
    async fn write_due(&mut self) -> anyhow::Result<()> {
        for bounded in self.partitions.values_mut() {
            let now = Instant::now();
            let is_due = bounded.partition.is_due(self.batch_size, now);
            let batch = if is_due { bounded.partition.take_batch(self.batch_size, now) } else { None };
            let Some(batch) = batch else { continue };
            let (records, dead) = self.tables.write(&batch).await?;
            self.summary.add(batch.topic_partition.kind, &records, dead.len() as u64, Vec::new());
            bounded.partition.applied(batch.to);
        }
        Ok(())
    }

    /// Moves past offsets without records, and logs the progress.
    fn housekeeping(&mut self) -> anyhow::Result<()> {
        for element in self.reader.get().position()?.elements() {
            let kind = TopicKind::of(&self.topics, element.topic());
            let bounded = kind.and_then(|kind| self.partitions.get_mut(&(kind, element.partition())));
            let offset = element.offset().to_raw().filter(|offset| *offset >= 0);
            if let (Some(bounded), Some(offset)) = (bounded, offset)
                && let Some(step) = bounded.partition.empty_batch_to(offset)
            {
                bounded.partition.applied(step.to);
            }
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.report();
        }
        Ok(())
    }

    fn report(&mut self) {
        self.reported = Instant::now();
        tracing::info!(event = events::DRY_RUN_PROGRESS, records = self.summary.total(), "read so far");
        if let Some(bounded) = self.partitions.values().find(|bounded| !bounded.is_done()) {
            tracing::info!(
                event = events::OPEN_TRANSACTION,
                topic = bounded.partition.topic_partition.topic,
                partition = bounded.partition.topic_partition.partition,
                position = bounded.partition.position,
                end = bounded.end,
                "not at the end yet; an open transaction of a producer may block records"
            );
        }
    }

    async fn close(self) -> anyhow::Result<Summary> {
        self.tables.roll_back().await?;
        Ok(self.summary)
    }
}

/// The offset at which `run` would start in each partition, which may be an operator's reset, and the watermarks.
async fn starts(
    args: &RunArgs,
    reader: &Arc<TopicReader>,
    tables: &mut TemporaryTables,
) -> anyhow::Result<Vec<(TopicPartition, i64, Watermarks)>> {
    let topics = args.kafka.topics();
    let stored =
        positions::read(tables.connection(), &TopicKind::ALL.map(|kind| kind.topic(&topics))).await?;
    let topic_partitions = data_partitions(&args.kafka).await?;
    let committed = offsets::committed(reader, &topic_partitions).await?;
    let marks = watermarks(&args.kafka, topic_partitions).await?;
    lost_records::check_starts(&args.kafka, &stored, &marks, args.accept_loss).await?;
    let start = |((topic_partition, marks), committed): ((TopicPartition, Watermarks), _)| {
        let start = Start::decide(stored.get(&topic_partition), committed, marks.low).offset();
        // This topic deletes old records, and a run resumes after them.
        let deletes = topic_partition.kind == TopicKind::DeadLetters;
        let start = if deletes { start.max(marks.low) } else { start };
        (topic_partition, start, marks)
    };
    Ok(marks.into_iter().zip(committed).map(start).collect())
}
