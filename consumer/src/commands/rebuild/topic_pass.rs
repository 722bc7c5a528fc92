//! A pass over the topics in a thread of its own: it reads ranges of partitions, and gives each record to a [`Sink`] without
//! copying it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::replay::{GROUP, REPORT_EVERY, STALL_TIMEOUT};
use crate::kafka::reader::{self, PolledReader};
use crate::model::topic::{PartitionId, TopicKind, TopicPartition};

/// How long a poll waits for a message.
const POLL_TIMEOUT: Duration = Duration::from_millis(20);
/// The number of messages between two looks at the clock.
const BURST: usize = 256;
/// How often the positions are read that lie past the ends of transactions.
const POSITIONS_EVERY: Duration = Duration::from_millis(100);

/// What receives the records of a pass.
pub(super) trait Sink {
    /// Takes a record.
    ///
    /// # Errors
    /// If the pass must end.
    fn take(&mut self, partition: PartitionId, message: &BorrowedMessage<'_>) -> anyhow::Result<()>;

    /// Logs the progress.
    fn log_progress(&self);
}

/// A pass over ranges of partitions.
pub(super) struct TopicPass {
    reader: PolledReader,
    topics: Topics,
    /// The targets of the partitions that were not read up to there yet.
    open: HashMap<PartitionId, i64>,
    progressed: Instant,
    reported: Instant,
    positions_at: Instant,
}

impl TopicPass {
    /// Opens a reader of these partitions, each with its first offset and its target.
    ///
    /// # Errors
    /// If librdkafka refuses.
    pub(super) fn start<'a>(
        kafka: &KafkaArgs,
        ranges: impl Iterator<Item = (&'a TopicPartition, i64, i64)>,
    ) -> anyhow::Result<Self> {
        let (reader, now) = (reader::open_polled(kafka, GROUP)?, Instant::now());
        let (mut open, mut starts) = (HashMap::new(), TopicPartitionList::new());
        for (topic_partition, low, target) in ranges.filter(|(_, low, target)| low < target) {
            open.insert(topic_partition.id(), target);
            let (topic, partition) = (&topic_partition.topic, topic_partition.partition);
            starts.add_partition_offset(topic, partition, Offset::Offset(low))?;
        }
        reader.assign(&starts).context("can't read the topics")?;
        Ok(Self { reader, topics: kafka.topics(), open, progressed: now, reported: now, positions_at: now })
    }

    /// Reads every partition to its target.
    ///
    /// # Errors
    /// An error of Kafka or of the sink, a stop, or no progress for [`STALL_TIMEOUT`].
    pub(super) fn read(mut self, sink: &mut impl Sink, stop: &CancellationToken) -> anyhow::Result<()> {
        while !self.open.is_empty() && !stop.is_cancelled() {
            self.poll(sink)?;
            if self.positions_at.elapsed() >= POSITIONS_EVERY {
                self.positions_at = Instant::now();
                self.close_read_partitions()?;
            }
            self.report(sink)?;
        }
        ensure!(!stop.is_cancelled(), "interrupted");
        let reader = self.reader;
        // Closing a client waits for its threads, and nothing has to wait for that.
        std::thread::spawn(move || drop(reader));
        Ok(())
    }

    fn poll(&mut self, sink: &mut impl Sink) -> anyhow::Result<()> {
        for _ in 0..BURST {
            match self.reader.poll(POLL_TIMEOUT) {
                Some(Ok(message)) => {
                    receive(&self.reader, &self.topics, &mut self.open, &message, sink)?;
                    self.progressed = Instant::now();
                }
                // The client recovers from others by itself, and its context has logged the error.
                Some(Err(
                    error @ (KafkaError::MessageConsumptionFatal(_)
                    | KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)),
                )) => return Err(error.into()),
                Some(Err(error)) => tracing::debug!(%error, "receiving"),
                None => break,
            }
        }
        Ok(())
    }

    /// Closes partitions that were read up to their targets. No record may come after a target, but the end of a
    /// transaction takes an offset too.
    fn close_read_partitions(&mut self) -> anyhow::Result<()> {
        for element in self.reader.position()?.elements() {
            let Some(kind) = TopicKind::of(&self.topics, element.topic()) else { continue };
            let (id, offset) = ((kind, element.partition()), element.offset().to_raw().unwrap_or_default());
            if self.open.get(&id).is_some_and(|target| offset >= *target) {
                self.open.remove(&id);
                self.progressed = Instant::now();
                pause(&self.reader, element.topic(), element.partition())?;
            }
        }
        Ok(())
    }

    fn report(&mut self, sink: &impl Sink) -> anyhow::Result<()> {
        if self.progressed.elapsed() >= STALL_TIMEOUT {
            let waited = STALL_TIMEOUT.as_secs();
            bail!(
                "no progress for {waited} s: {} partitions were not read to their targets",
                self.open.len()
            );
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            sink.log_progress();
        }
        Ok(())
    }
}

/// Gives a record before its partition's target to the sink.
fn receive(
    reader: &PolledReader,
    topics: &Topics,
    open: &mut HashMap<PartitionId, i64>,
    message: &BorrowedMessage<'_>,
    sink: &mut impl Sink,
) -> anyhow::Result<()> {
    let Some(kind) = TopicKind::of(topics, message.topic()) else { return Ok(()) };
    let id = (kind, message.partition());
    match open.get(&id) {
        None => Ok(()),
        Some(target) if message.offset() >= *target => {
            open.remove(&id);
            pause(reader, message.topic(), message.partition())
        }
        Some(_) => sink.take(id, message),
    }
}

/// Stops fetching a partition that was read up to its target.
fn pause(reader: &PolledReader, topic: &str, partition: i32) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    reader.pause(&list).with_context(|| format!("can't pause {topic}[{partition}]"))
}

/// Whether a partition lost records while it was read.
pub(super) fn lost_its_offset(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<KafkaError>();
    error == Some(&KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))
}
