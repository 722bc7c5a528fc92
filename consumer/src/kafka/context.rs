//! The callbacks of a member of the consumer group. They only send events. The loop that applies records answers them,
//! because it reads from the database where a partition starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use catalog_shared::events;
use catalog_shared::kafka::LogContext;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long Kafka may take to answer a member of the group.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A member of the group. Only `kafka::polling` polls it and changes its assignment.
pub(crate) type Member = BaseConsumer<GroupContext>;

/// A change of the assignment: only what differs. librdkafka waits for an answer to each change, in their order, even if it
/// is empty.
#[derive(Clone, Debug)]
pub(crate) enum Rebalance {
    Assign(TopicPartitionList),
    Revoke {
        partitions: TopicPartitionList,
        /// The group has assigned them to others already.
        lost: bool,
    },
}

impl Rebalance {
    /// Answers the change. Assigned partitions start at the group's offsets, so this is correct only if none is assigned or
    /// the consumer is leaving.
    pub(super) fn acknowledge(&self, member: &Member) -> KafkaResult<()> {
        match self {
            Self::Assign(list) => member.incremental_assign(list),
            Self::Revoke { partitions, .. } => member.incremental_unassign(partitions),
        }
    }
}

impl GroupContext {
    /// A context whose member commits offsets with this metadata, and the channel of its rebalances.
    pub(super) fn new(owner_metadata: String) -> (Self, UnboundedReceiver<Rebalance>) {
        let (changes, events) = unbounded_channel();
        let context =
            Self { changes, closing: AtomicBool::new(false), owner_metadata, log: LogContext::default() };
        (context, events)
    }

    /// From now on the callback answers rebalances itself, because the loop ends.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// A failed rebalance assigns and revokes nothing: the member keeps its partitions, and the group retries.
    fn failed(&self, failure: RDKafkaRespErr) {
        let error = KafkaError::Rebalance(failure.into());
        tracing::warn!(event = events::REBALANCE_FAILED, %error, "a rebalance failed; the partitions stay as they are");
    }
}

/// Sends rebalances as events.
pub(crate) struct GroupContext {
    changes: UnboundedSender<Rebalance>,
    /// Set while the consumer is dropped. The callback then answers rebalances, because the loop has ended.
    closing: AtomicBool,
    /// The metadata of the offsets that this member commits: the copy of the tables.
    pub(super) owner_metadata: String,
    log: LogContext,
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, member: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assigned = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => true,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => false,
            failure => return self.failed(failure),
        };
        if self.closing.load(Ordering::SeqCst) {
            let answer =
                if assigned { member.incremental_assign(list) } else { member.incremental_unassign(list) };
            if let Err(error) = answer {
                tracing::debug!(%error, "answering a rebalance while leaving");
            }
            return;
        }
        let partitions = list.clone();
        let change = if assigned {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke { partitions, lost: member.assignment_lost() }
        };
        // The receiver lives as long as the loop, and `closing` is set before it ends.
        let _ = self.changes.send(change);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            // Committed offsets are only for Kafka's tools. The stored positions are authoritative.
            tracing::debug!(%error, "an offset was not committed");
        }
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::kafka;

    use super::*;

    #[test]
    fn a_rebalance_that_failed_revokes_nothing() {
        let (context, mut events) = GroupContext::new(String::new());
        let mut config = rdkafka::ClientConfig::new();
        config.set("group.id", "test").set("bootstrap.servers", "127.0.0.1:1");
        let member: BaseConsumer<GroupContext> = kafka::create(&config, context).unwrap();
        let mut happens = |event| {
            member.context().rebalance(&member, event, &mut TopicPartitionList::new());
            events.try_recv().ok()
        };
        assert!(happens(RDKafkaRespErr::RD_KAFKA_RESP_ERR__FAIL).is_none());
        let revoked = happens(RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
        assert!(matches!(revoked, Some(Rebalance::Revoke { .. })), "{revoked:?}");
    }
}
