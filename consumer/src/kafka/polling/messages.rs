//! What the loop and the polling thread send each other.

use rdkafka::error::KafkaError;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::kafka::context::Rebalance;
use crate::model::chunk::Chunk;
use crate::model::topic::{PartitionId, TopicPartition};

/// A message from the thread.
#[derive(Debug)]
pub(crate) enum Received {
    Chunk {
        id: PartitionId,
        chunk: Chunk,
    },
    /// Every record below this offset was sent.
    ReadTo {
        id: PartitionId,
        epoch: u64,
        offset: i64,
    },
    /// An error that the client does not recover from by itself.
    Failed(KafkaError),
}

/// A command to the thread.
pub(super) enum Command {
    Assign { starts: Vec<(TopicPartition, i64)>, epoch: u64, reply: Reply },
    Acknowledge { change: Rebalance, reply: Reply },
    Seek { topic_partition: TopicPartition, offset: i64, epoch: u64, reply: Reply },
    Pause { topic_partition: TopicPartition, pause: bool },
    Leave { changes: UnboundedReceiver<Rebalance>, positions: Vec<(TopicPartition, i64)>, reply: Reply },
}

pub(super) type Reply = oneshot::Sender<anyhow::Result<()>>;
