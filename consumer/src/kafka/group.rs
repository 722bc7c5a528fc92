//! Membership in the consumer group. Callbacks only pass events on; the loop that receives messages
//! answers them, for where a partition starts is read from the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, LogContext};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::batch::{Place, TopicKind};
use crate::binding::home::Home;
use crate::cli::RunArgs;
use crate::consume::offsets;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// librdkafka's own default.
const SESSION: Duration = Duration::from_secs(45);

/// A member of the group.
pub(crate) type Member = StreamConsumer<GroupContext>;

/// A change of the assignment, only what differs. librdkafka holds the whole assignment back until it is
/// answered, in order, even when it is empty.
#[derive(Debug)]
pub(crate) enum Change {
    Assign(TopicPartitionList),
    Revoke {
        partitions: TopicPartitionList,
        /// The group has given them to others already.
        lost: bool,
    },
}

impl GroupContext {
    /// A rebalance that failed assigns and revokes nothing: what this member has stays its own. The group
    /// tries again.
    fn failed(&self, failure: RDKafkaRespErr) {
        let error = KafkaError::Rebalance(failure.into());
        tracing::warn!(%error, "a rebalance failed; the partitions stay as they are");
    }
}

/// Passes rebalances on as events.
pub(crate) struct GroupContext {
    changes: UnboundedSender<Change>,
    /// While the consumer is dropped nobody answers events any more, so the callback does.
    closing: AtomicBool,
    /// What committed offsets of ours carry as their metadata: the copy of the tables.
    pub(super) note: String,
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
            Change::Assign(partitions)
        } else {
            Change::Revoke { partitions, lost: member.assignment_lost() }
        };
        // The receiver lives as long as the loop, and `closing` is set before it ends.
        let _ = self.changes.send(change);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            // Offsets are a courtesy to Kafka's tools: positions decide.
            tracing::debug!(%error, "an offset was not committed");
        }
    }
}

/// A member of the group and the changes of its assignment.
pub(crate) struct Joined {
    pub(crate) member: Arc<Member>,
    pub(crate) changes: UnboundedReceiver<Change>,
    /// How long the group takes to notice that a member is gone.
    pub(crate) session: Duration,
}

/// Joins the group for a copy of the tables, which the other members can tell by the client id.
pub(crate) fn join(args: &RunArgs, home: &Home) -> anyhow::Result<Joined> {
    let note = home.to_string();
    let config = args.kafka.client_config(&[
        ("client.id", &note),
        ("group.id", &args.group),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("session.timeout.ms", "45000"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // Where a partition starts is always said; a start that doesn't exist must not be guessed.
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        // A consumer may be there before the producer has made the topics.
        ("topic.metadata.refresh.interval.ms", "10000"),
        ("fetch.wait.max.ms", "50"),
        // A fetcher that has filled the queue looks again after this long; its default of a second would
        // stall a consumer that works.
        ("fetch.queue.backoff.ms", "10"),
        ("queued.max.messages.kbytes", "16384"),
    ])?;
    let session = config.get("session.timeout.ms").and_then(|session| session.parse().ok());
    let session = session.map_or(SESSION, Duration::from_millis);
    let (changes, events) = unbounded_channel();
    let context = GroupContext { changes, closing: AtomicBool::new(false), note, log: LogContext::default() };
    let member: Member = kafka::create(&config, context)?;
    let topics = args.kafka.topics();
    let names = TopicKind::ALL.map(|kind| kind.topic(&topics));
    member.subscribe(&names.each_ref().map(String::as_str))?;
    Ok(Joined { member: Arc::new(member), changes: events, session })
}

/// Answers an assignment: each partition starts at its position.
pub(crate) fn assign(member: &Member, starts: &[(Place, i64)]) -> anyhow::Result<()> {
    member.incremental_assign(&offsets::offsets(member, starts)?).context("can't take the assignment")
}

/// Moves a partition of the assignment to an offset; what was fetched of it before is dropped.
pub(crate) async fn seek(member: &Arc<Member>, place: &Place, offset: i64) -> anyhow::Result<()> {
    let (member, place) = (Arc::clone(member), place.clone());
    let seek = move || member.seek(&place.topic, place.partition, Offset::Offset(offset), PATIENCE);
    Ok(spawn_blocking(seek).await??)
}

/// Stops fetching a partition while it stays ours; what was fetched and not received is fetched again.
pub(crate) fn pause(member: &Member, place: &Place) -> anyhow::Result<()> {
    member.pause(&list(place)).with_context(|| format!("can't pause {}[{}]", place.topic, place.partition))
}

/// Fetches a paused partition again.
pub(crate) fn resume(member: &Member, place: &Place) -> anyhow::Result<()> {
    member.resume(&list(place)).with_context(|| format!("can't resume {}[{}]", place.topic, place.partition))
}

/// A list of one partition.
pub(crate) fn list(place: &Place) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&place.topic, place.partition);
    list
}

/// Answers a change of the assignment without more ado, as it is done once the consumer is to leave.
pub(crate) fn answer(member: &Member, change: &Change) -> KafkaResult<()> {
    match change {
        Change::Assign(list) => member.incremental_assign(list),
        Change::Revoke { partitions, .. } => member.incremental_unassign(partitions),
    }
}

/// Leaves the group, with a last commit of offsets.
///
/// # Errors
/// When that takes long, as it does while Kafka is away; the group notices by itself then.
pub(crate) async fn leave(
    member: Arc<Member>,
    mut changes: UnboundedReceiver<Change>,
    positions: &[(Place, i64)],
) -> anyhow::Result<()> {
    member.context().closing.store(true, Ordering::SeqCst);
    while let Ok(change) = changes.try_recv() {
        answer(&member, &change)?;
    }
    offsets::commit(&member, positions)?;
    // Dropping the consumer closes it, which waits for the group and for the commit. On a thread of its
    // own: the runtime would wait for one of its own for ever.
    let (left, told) = oneshot::channel();
    std::thread::spawn(move || {
        member.unsubscribe();
        drop(member);
        let _ = left.send(());
    });
    match timeout(PATIENCE, told).await {
        Ok(_) => Ok(()),
        Err(_) => bail!("can't leave the group in {} s: Kafka does not answer", PATIENCE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebalance_that_failed_revokes_nothing() {
        let (changes, mut events) = unbounded_channel();
        let log = LogContext::default();
        let context = GroupContext { changes, closing: AtomicBool::new(false), note: String::new(), log };
        let mut config = rdkafka::ClientConfig::new();
        config.set("group.id", "test").set("bootstrap.servers", "127.0.0.1:1");
        let member: BaseConsumer<GroupContext> = kafka::create(&config, context).unwrap();
        let mut happens = |event| {
            member.context().rebalance(&member, event, &mut TopicPartitionList::new());
            events.try_recv().ok()
        };
        assert!(happens(RDKafkaRespErr::RD_KAFKA_RESP_ERR__FAIL).is_none());
        let revoked = happens(RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
        assert!(matches!(revoked, Some(Change::Revoke { .. })), "{revoked:?}");
    }
}
