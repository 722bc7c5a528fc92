//! The thread itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::kafka::context::{Member, REQUEST_TIMEOUT, Rebalance};
use crate::kafka::partitions::list;
use crate::kafka::polling::assignment::Assignment;
use crate::kafka::polling::messages::{Command, Received};
use crate::kafka::polling::throttle::{Pace, Throttle};
use crate::kafka::{offsets, receive};
use crate::model::arena::Arena;
use crate::model::chunk::Chunk;
use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// How long a poll waits for a message. A command may be delayed by this time.
const POLL_TIMEOUT: Duration = Duration::from_millis(20);
/// How long to wait for a command before checking again whether the loop has taken chunks.
const ROOM_TIMEOUT: Duration = Duration::from_millis(2);
/// The maximum number of messages to poll before checking for commands.
const BURST: usize = 256;
/// Interval between two checks of how far partitions were read.
const POSITIONS_EVERY: Duration = Duration::from_millis(100);

pub(super) struct PollingThread {
    member: Arc<Member>,
    commands: Receiver<Command>,
    received: UnboundedSender<Received>,
    /// The bytes of the chunks that were sent but not taken yet.
    untaken: Arc<AtomicUsize>,
    assignment: Assignment,
    throttle: Throttle,
    arena: Arena,
    positions_at: Instant,
}

impl PollingThread {
    pub(super) fn new(
        member: Arc<Member>,
        commands: Receiver<Command>,
        received: UnboundedSender<Received>,
        untaken: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            member,
            commands,
            received,
            untaken,
            assignment: Assignment::default(),
            throttle: Throttle::default(),
            arena: Arena::new(),
            positions_at: Instant::now(),
        }
    }

    /// Polls until the member has left the group or the loop has ended.
    pub(super) fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            match self.commands.recv_timeout(wait) {
                Ok(Command::Leave { changes, positions, reply }) => {
                    let _ = reply.send(self.leave(changes, &positions));
                    return;
                }
                Ok(command) => {
                    self.execute(command);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.member.context().close();
                    return;
                }
            }
            wait = match self.throttle.pace(self.untaken.load(Ordering::Relaxed), Instant::now()) {
                Pace::Wait => ROOM_TIMEOUT,
                Pace::Poll => {
                    self.poll();
                    Duration::ZERO
                }
            };
        }
    }

    fn poll(&mut self) {
        if let Err(error) = self.pause_and_resume() {
            let _ = self.received.send(Received::Failed(error));
        }
        let member = Arc::clone(&self.member);
        for _ in 0..BURST {
            let timeout = if self.assignment.has_open_chunks() { Duration::ZERO } else { POLL_TIMEOUT };
            match member.poll(timeout) {
                Some(Ok(message)) => self.receive(&message),
                Some(Err(error)) => {
                    if let Some(error) = receive::permanent(error) {
                        let _ = self.received.send(Received::Failed(error));
                    }
                }
                None => {
                    self.send_chunks();
                    break;
                }
            }
        }
        if self.positions_at.elapsed() >= POSITIONS_EVERY {
            self.send_positions();
        }
    }

    fn receive(&mut self, message: &BorrowedMessage<'_>) {
        let Some(assigned) = self.assignment.find(message.topic(), message.partition()) else { return };
        let record = Record::copy(message, &mut self.arena);
        assigned.chunk().push(message.offset(), record);
        if assigned.chunk().is_full()
            && let Some(chunk) = assigned.take_chunk()
        {
            send(&self.received, &self.untaken, &assigned.topic_partition, chunk);
        }
    }

    fn send_chunks(&mut self) {
        for (topic_partition, chunk) in self.assignment.take_chunks() {
            send(&self.received, &self.untaken, topic_partition, chunk);
        }
    }

    /// Sends how far partitions were read, after all records that were received before.
    fn send_positions(&mut self) {
        self.positions_at = Instant::now();
        self.send_chunks();
        let read = match self.member.position() {
            Ok(read) => read,
            Err(error) => return tracing::debug!(%error, "can't read how far partitions were read"),
        };
        for element in read.elements() {
            let Some(offset) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
            let Some(assigned) = self.assignment.find(element.topic(), element.partition()) else { continue };
            if assigned.update_read_to(offset) {
                let id = assigned.topic_partition.id();
                let _ = self.received.send(Received::ReadTo { id, epoch: assigned.epoch, offset });
            }
        }
    }

    fn pause_and_resume(&mut self) -> KafkaResult<()> {
        for (topic_partition, pause) in self.assignment.pause_changes(self.throttle.is_paused()) {
            let partition = list(&topic_partition);
            if pause { self.member.pause(&partition)? } else { self.member.resume(&partition)? }
        }
        Ok(())
    }

    /// Executes a command, after sending everything that was received before it.
    fn execute(&mut self, command: Command) {
        self.send_chunks();
        let (reply, done) = match command {
            Command::Assign { starts, epoch, reply } => (reply, self.assign(&starts, epoch)),
            Command::Acknowledge { change, reply } => (reply, self.acknowledge(&change)),
            Command::Seek { topic_partition, offset, epoch, reply } => {
                (reply, self.seek(&topic_partition, offset, epoch))
            }
            Command::Pause { topic_partition, pause } => {
                let assigned = self.assignment.find(&topic_partition.topic, topic_partition.partition);
                assigned.into_iter().for_each(|assigned| assigned.want_pause(pause));
                return;
            }
            // `run` ends with it.
            Command::Leave { .. } => return,
        };
        let _ = reply.send(done);
    }

    fn assign(&mut self, starts: &[(TopicPartition, i64)], epoch: u64) -> anyhow::Result<()> {
        self.member
            .incremental_assign(&offsets::offsets(&self.member, starts)?)
            .context("can't take the assignment")?;
        for (topic_partition, _) in starts {
            // librdkafka keeps a partition paused when it is assigned again.
            self.member
                .resume(&list(topic_partition))
                .with_context(|| format!("can't resume {topic_partition}"))?;
            self.assignment.add(topic_partition, epoch);
        }
        Ok(())
    }

    fn acknowledge(&mut self, change: &Rebalance) -> anyhow::Result<()> {
        change.acknowledge(&self.member).context("can't answer a change of the assignment")?;
        if let Rebalance::Revoke { partitions, .. } = change {
            for element in partitions.elements() {
                self.assignment.remove(element.topic(), element.partition());
            }
        }
        Ok(())
    }

    fn seek(&mut self, topic_partition: &TopicPartition, offset: i64, epoch: u64) -> anyhow::Result<()> {
        self.member.seek(
            &topic_partition.topic,
            topic_partition.partition,
            Offset::Offset(offset),
            REQUEST_TIMEOUT,
        )?;
        let assigned = self
            .assignment
            .find(&topic_partition.topic, topic_partition.partition)
            .context("it is not assigned")?;
        assigned.start_epoch(epoch);
        Ok(())
    }

    /// Leaves the group. No other thread polls, so no callback runs until the member is dropped.
    fn leave(
        self,
        mut changes: UnboundedReceiver<Rebalance>,
        positions: &[(TopicPartition, i64)],
    ) -> anyhow::Result<()> {
        self.member.context().close();
        while let Ok(change) = changes.try_recv() {
            change.acknowledge(&self.member)?;
        }
        offsets::commit(&self.member, positions)?;
        self.member.unsubscribe();
        // Dropping the member closes it, which waits for the group and for the commit.
        drop(self.member);
        Ok(())
    }
}

fn send(
    received: &UnboundedSender<Received>,
    untaken: &AtomicUsize,
    topic_partition: &TopicPartition,
    chunk: Chunk,
) {
    untaken.fetch_add(chunk.bytes(), Ordering::Relaxed);
    // Without a receiver the loop has ended, and so will the channel of commands.
    let _ = received.send(Received::Chunk { id: topic_partition.id(), chunk });
}
