//! The first pass over the topics: a thread reads keys and headers only, and finds the newest version of each row.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::loss;
use super::newest_versions::NewestVersions;
use super::pass::{GROUP, REPORT_EVERY, STALL_TIMEOUT};
use super::selection::SelectedOffsets;
use super::targets::ReplayTargets;
use crate::decode::row_key::Head;
use crate::kafka::reader::{self, PolledReader};
use crate::model::record::Record;
use crate::model::topic::{PartitionId, TopicKind};

/// How long a poll waits for a message.
const POLL_TIMEOUT: Duration = Duration::from_millis(20);
/// The number of messages between two looks at the clock.
const BURST: usize = 256;
/// How often the positions are read that lie past the ends of transactions.
const POSITIONS_EVERY: Duration = Duration::from_millis(100);

/// Reads every partition from its first record to its target, and selects the records that the second pass applies.
///
/// # Errors
/// An error of Kafka, or no progress for [`STALL_TIMEOUT`].
pub(super) async fn select(kafka: &KafkaArgs, targets: &ReplayTargets) -> anyhow::Result<SelectedOffsets> {
    let pass = FirstPass::start(kafka, targets)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    // The thread ends soon after this future is dropped.
    let _guard = stop.drop_guard();
    let selected = spawn_blocking(move || pass.read(&stopped)).await?;
    match selected {
        Err(error) if lost_its_offset(&error) => {
            let starts = targets.ranges().map(|(topic_partition, low, _)| (topic_partition.clone(), low));
            let lost = loss::find_lost_during_replay(kafka, starts.collect()).await?;
            bail!("{lost}: run the command again")
        }
        selected => selected,
    }
}

fn lost_its_offset(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<KafkaError>();
    error == Some(&KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))
}

struct FirstPass {
    reader: PolledReader,
    topics: Topics,
    /// The targets of the partitions that were not read up to there yet.
    open: HashMap<PartitionId, i64>,
    newest: NewestVersions,
    records: u64,
    progressed: Instant,
    reported: Instant,
    positions_at: Instant,
}

impl FirstPass {
    fn start(kafka: &KafkaArgs, targets: &ReplayTargets) -> anyhow::Result<Self> {
        let (reader, now) = (reader::open_polled(kafka, GROUP)?, Instant::now());
        let (mut open, mut starts) = (HashMap::new(), TopicPartitionList::new());
        for (topic_partition, low, target) in targets.ranges().filter(|(_, low, target)| low < target) {
            open.insert(topic_partition.id(), target);
            let (topic, partition) = (&topic_partition.topic, topic_partition.partition);
            starts.add_partition_offset(topic, partition, Offset::Offset(low))?;
        }
        reader.assign(&starts).context("can't read the topics")?;
        Ok(Self {
            reader,
            topics: kafka.topics(),
            open,
            newest: NewestVersions::default(),
            records: 0,
            progressed: now,
            reported: now,
            positions_at: now,
        })
    }

    fn read(mut self, stop: &CancellationToken) -> anyhow::Result<SelectedOffsets> {
        while !self.open.is_empty() && !stop.is_cancelled() {
            self.poll()?;
            if self.positions_at.elapsed() >= POSITIONS_EVERY {
                self.positions_at = Instant::now();
                self.close_read_partitions()?;
            }
            self.report()?;
        }
        ensure!(!stop.is_cancelled(), "interrupted");
        let Self { reader, newest, records, .. } = self;
        // Closing a client waits for its threads, and nothing has to wait for that.
        std::thread::spawn(move || drop(reader));
        let selected = newest.select(stop)?;
        tracing::info!(
            event = events::NEWEST_VERSIONS_FOUND,
            records,
            selected = selected.len(),
            "found the newest version of each row by keys and headers"
        );
        Ok(selected)
    }

    fn poll(&mut self) -> anyhow::Result<()> {
        let Self { reader, topics, open, newest, records, progressed, .. } = self;
        for _ in 0..BURST {
            match reader.poll(POLL_TIMEOUT) {
                Some(Ok(message)) => {
                    match receive(topics, open, newest, &message)? {
                        Polled::Record => *records += 1,
                        Polled::Beyond => reader::pause(reader, message.topic(), message.partition())?,
                        Polled::Other => {}
                    }
                    *progressed = Instant::now();
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
                reader::pause(&self.reader, element.topic(), element.partition())?;
            }
        }
        Ok(())
    }

    fn report(&mut self) -> anyhow::Result<()> {
        if self.progressed.elapsed() >= STALL_TIMEOUT {
            let waited = STALL_TIMEOUT.as_secs();
            bail!(
                "no progress for {waited} s: {} partitions were not read to their targets",
                self.open.len()
            );
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            tracing::info!(event = events::KEYS_READ, records = self.records, "keys and headers read so far");
        }
        Ok(())
    }
}

enum Polled {
    /// A record before the target.
    Record,
    /// The first record at or beyond the target.
    Beyond,
    Other,
}

/// Takes the key and the headers of a record.
///
/// # Errors
/// If a temporary file can't be written.
fn receive(
    topics: &Topics,
    open: &mut HashMap<PartitionId, i64>,
    newest: &mut NewestVersions,
    message: &BorrowedMessage<'_>,
) -> anyhow::Result<Polled> {
    let (offset, partition) = (message.offset(), message.partition());
    let Some(topic) = TopicKind::of(topics, message.topic()) else { return Ok(Polled::Other) };
    let Some(target) = open.get(&(topic, partition)).copied() else { return Ok(Polled::Other) };
    if offset >= target {
        open.remove(&(topic, partition));
        return Ok(Polled::Beyond);
    }
    let head =
        Head { stamp: Record::stamp(message), key: message.key(), has_value: message.payload().is_some() };
    newest.add((topic, partition), offset, &head)?;
    Ok(Polled::Record)
}
