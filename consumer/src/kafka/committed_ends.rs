//! The ends of committed records. Where a transaction is open, they end before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::model::topic::{PartitionId, TopicPartition};

/// How long Kafka may take to answer one question. Short, because all ends are read every ten seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long reading all ends may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(10);

/// The partitions of each leader.
type ByLeader = BTreeMap<i32, Vec<TopicPartition>>;

/// The end of a partition.
pub(crate) struct CommittedEnd {
    pub(crate) partition: PartitionId,
    pub(crate) end: i64,
    /// When it was read.
    pub(crate) at: Instant,
}

/// Reads ends with one client, which a thread of its own holds. A client for each reading would cost more than the reading.
pub(crate) struct EndReader {
    readings: mpsc::Sender<Reading>,
}

/// What is asked of the thread: partitions, and who receives their ends.
struct Reading {
    topic_partitions: Vec<TopicPartition>,
    sender: UnboundedSender<CommittedEnd>,
}

impl EndReader {
    /// Starts the thread. It ends after the reader is dropped. It is not a thread of the runtime, because an exit would wait
    /// for it.
    ///
    /// # Errors
    /// If librdkafka refuses a setting, or the operating system can't start a thread.
    pub(crate) fn start(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let config = kafka.reader_config(&[("isolation.level", "read_committed")])?;
        let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
        let (readings, receiver) = mpsc::channel();
        let run = move || receiver.into_iter().for_each(|reading| read(&client, reading));
        thread::Builder::new().name("ends".to_owned()).spawn(run)?;
        Ok(Self { readings })
    }

    /// Starts to read the ends of some partitions, which arrive one by one within ten seconds. A partition whose end can't be
    /// read is left out.
    pub(crate) fn read(&self, topic_partitions: Vec<TopicPartition>) -> UnboundedReceiver<CommittedEnd> {
        let (sender, ends) = unbounded_channel();
        // Without the thread the sender is dropped, so no end arrives.
        let _ = self.readings.send(Reading { topic_partitions, sender });
        ends
    }
}

fn read(client: &BaseConsumer<LogContext>, Reading { topic_partitions, sender }: Reading) {
    let round = Round { client, sender, deadline: Instant::now() + ROUND_TIMEOUT };
    if let Err(error) = round.read(topic_partitions) {
        tracing::debug!(error = format!("{error:#}"), "can't read the end offsets");
    }
}

/// One reading of all ends. Each leader is asked by a thread of its own, because one may be down alone.
struct Round<'a> {
    client: &'a BaseConsumer<LogContext>,
    sender: UnboundedSender<CommittedEnd>,
    deadline: Instant,
}

impl Round<'_> {
    fn read(&self, topic_partitions: Vec<TopicPartition>) -> anyhow::Result<()> {
        let by_leader = self.by_leader(topic_partitions)?;
        thread::scope(|scope| {
            for topic_partitions in by_leader.values() {
                let read = move || self.read_from_leader(topic_partitions);
                thread::Builder::new().name("ends-of-leader".to_owned()).spawn_scoped(scope, read)?;
            }
            Ok(())
        })
    }

    fn by_leader(&self, topic_partitions: Vec<TopicPartition>) -> anyhow::Result<ByLeader> {
        let topics: BTreeSet<_> = topic_partitions.iter().map(|found| found.topic.clone()).collect();
        let mut leaders = BTreeMap::new();
        for name in topics {
            let timeout = self.timeout().context("Kafka has not described its topics in time")?;
            let metadata = self.client.fetch_metadata(Some(&name), timeout)?;
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                leaders.insert((name.clone(), partition.id()), partition.leader());
            }
        }
        let mut by_leader = ByLeader::new();
        for topic_partition in topic_partitions {
            let name = (topic_partition.topic.clone(), topic_partition.partition);
            // Those without a leader are asked for together.
            let leader = leaders.get(&name).copied().unwrap_or(-1);
            by_leader.entry(leader).or_default().push(topic_partition);
        }
        Ok(by_leader)
    }

    fn read_from_leader(&self, topic_partitions: &[TopicPartition]) {
        for topic_partition in topic_partitions {
            let TopicPartition { topic, partition, .. } = topic_partition;
            // Nobody receives the ends once the consumer stops.
            let Some(timeout) = self.timeout().filter(|_| !self.sender.is_closed()) else { return };
            match self.client.fetch_watermarks(topic, *partition, timeout) {
                Ok((_, end)) => {
                    let end = CommittedEnd { partition: topic_partition.id(), end, at: Instant::now() };
                    let _ = self.sender.send(end);
                }
                Err(error) => tracing::debug!(topic, partition, %error, "can't read the end offset"),
            }
        }
    }

    /// How long the next question may take. `None` after the deadline.
    fn timeout(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(REQUEST_TIMEOUT))
    }
}
