//! The loop's side of the polling thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::{Context, bail};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::kafka::context::{Member, REQUEST_TIMEOUT, Rebalance};
use crate::kafka::polling::messages::{Command, Received, Reply};
use crate::kafka::polling::thread::PollingThread;
use crate::model::topic::TopicPartition;

/// A member of the group that is polled by a separate thread.
pub(crate) struct PollingMember {
    commands: mpsc::Sender<Command>,
    received: UnboundedReceiver<Received>,
    untaken: Arc<AtomicUsize>,
}

impl PollingMember {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system can't start a thread.
    pub(crate) fn start(member: Arc<Member>) -> anyhow::Result<Self> {
        let (commands, receiver) = mpsc::channel();
        let (sender, received) = unbounded_channel();
        let untaken = Arc::<AtomicUsize>::default();
        let thread = PollingThread::new(member, receiver, sender, Arc::clone(&untaken));
        std::thread::Builder::new().name("kafka-polling".to_owned()).spawn(move || thread.run())?;
        Ok(Self { commands, received, untaken })
    }

    /// Waits for the next message from the thread. This is cancel-safe.
    ///
    /// # Errors
    /// If the thread has ended.
    pub(crate) async fn recv(&mut self) -> anyhow::Result<Received> {
        let received = self.received.recv().await.context("the polling thread has ended")?;
        if let Received::Chunk { chunk, .. } = &received {
            self.untaken.fetch_sub(chunk.bytes(), Ordering::Relaxed);
        }
        Ok(received)
    }

    /// Answers an assignment: each partition starts at its offset, in a new epoch.
    ///
    /// # Errors
    /// From librdkafka.
    pub(crate) async fn assign(&self, starts: Vec<(TopicPartition, i64)>, epoch: u64) -> anyhow::Result<()> {
        self.ask(|reply| Command::Assign { starts, epoch, reply }).await
    }

    /// Answers a change of the assignment: an empty assignment, a revocation, or any change once the consumer leaves.
    ///
    /// # Errors
    /// From librdkafka.
    pub(crate) async fn acknowledge(&self, change: Rebalance) -> anyhow::Result<()> {
        self.ask(|reply| Command::Acknowledge { change, reply }).await
    }

    /// Moves an assigned partition to an offset, in a new epoch.
    ///
    /// # Errors
    /// From librdkafka. The epoch does not change then.
    pub(crate) async fn seek(
        &self,
        topic_partition: &TopicPartition,
        offset: i64,
        epoch: u64,
    ) -> anyhow::Result<()> {
        let topic_partition = topic_partition.clone();
        self.ask(|reply| Command::Seek { topic_partition, offset, epoch, reply }).await
    }

    /// Pauses or resumes a partition. Chunks that were sent before still arrive.
    pub(crate) fn pause(&self, topic_partition: &TopicPartition, pause: bool) {
        // If the thread has ended, `receive` returns the error.
        let _ = self.commands.send(Command::Pause { topic_partition: topic_partition.clone(), pause });
    }

    /// Leaves the group, with a last commit of offsets.
    ///
    /// # Errors
    /// If it takes too long, such as while Kafka is unreachable. The group then removes the member after its session timeout.
    pub(crate) async fn leave(
        self,
        changes: UnboundedReceiver<Rebalance>,
        positions: Vec<(TopicPartition, i64)>,
    ) -> anyhow::Result<()> {
        match timeout(REQUEST_TIMEOUT, self.ask(|reply| Command::Leave { changes, positions, reply })).await {
            Ok(left) => left,
            Err(_) => {
                bail!("can't leave the group in {} s: Kafka does not answer", REQUEST_TIMEOUT.as_secs())
            }
        }
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        // If the thread has ended, the reply is dropped with the command.
        let _ = self.commands.send(command(reply));
        answer.await.context("the polling thread has ended")?
    }
}
