//! Membership in the consumer group. Callbacks only pass events on; the loop that receives messages
//! answers them, for where a partition starts is read from the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::batch::{Place, TopicKind};
use crate::cli::RunArgs;

/// What offsets of ours carry as their metadata. An operator's reset by Kafka's tools leaves it empty, so the
/// two can be told apart.
const NOTE: &str = "catalog-stream";
const PATIENCE: Duration = Duration::from_secs(10);

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

/// Joins the group.
pub(crate) fn join(args: &RunArgs) -> anyhow::Result<(Arc<Member>, UnboundedReceiver<Change>)> {
    let config = args.kafka.client_config(&[
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
    let (changes, events) = unbounded_channel();
    let context = GroupContext { changes, closing: AtomicBool::new(false), log: LogContext::default() };
    let member: Member = kafka::create(&config, context)?;
    let topics = args.kafka.topics();
    let names = TopicKind::ALL.map(|kind| kind.topic(&topics));
    member.subscribe(&names.each_ref().map(String::as_str))?;
    Ok((Arc::new(member), events))
}

/// Answers an assignment: each partition starts at its position.
pub(crate) fn assign(member: &Member, starts: &[(Place, i64)]) -> anyhow::Result<()> {
    member.incremental_assign(&offsets(starts)?).context("can't take the assignment")
}

/// Commits offsets with our note, without waiting for the answer.
pub(crate) fn commit(member: &Member, positions: &[(Place, i64)]) -> anyhow::Result<()> {
    if positions.is_empty() {
        return Ok(());
    }
    if let Err(error) = member.commit(&offsets(positions)?, CommitMode::Async) {
        tracing::debug!(%error, "an offset was not committed");
    }
    Ok(())
}

/// Commits offsets with our note and waits for it, so that an operator's reset is honoured once.
///
/// What goes wrong is only told: a reset that is honoured twice applies records twice, which changes nothing.
pub(crate) async fn commit_and_wait(member: &Arc<Member>, positions: &[(Place, i64)]) -> anyhow::Result<()> {
    if positions.is_empty() {
        return Ok(());
    }
    let (member, offsets) = (Arc::clone(member), offsets(positions)?);
    let commit = spawn_blocking(move || member.commit(&offsets, CommitMode::Sync));
    // It has no time limit of its own.
    match timeout(PATIENCE, commit).await {
        Ok(done) => {
            if let Err(error) = done? {
                tracing::warn!(%error, "an offset was not committed");
            }
        }
        Err(_) => tracing::warn!("an offset was not committed: Kafka does not answer"),
    }
    Ok(())
}

/// What the group has committed for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    /// Whether it is ours. Anything else is an operator's.
    pub(crate) noted: bool,
}

/// What the group has committed, in the order of the places.
pub(crate) async fn committed<C: ConsumerContext + 'static>(
    member: &Arc<StreamConsumer<C>>,
    places: &[Place],
) -> anyhow::Result<Vec<Option<Committed>>> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition(&place.topic, place.partition);
    }
    let member = Arc::clone(member);
    let found = spawn_blocking(move || member.committed_offsets(list, PATIENCE)).await?;
    let found = found.context("can't read the group's offsets")?;
    let of = |place: &Place| {
        let element = found.find_partition(&place.topic, place.partition)?;
        let Offset::Offset(offset) = element.offset() else { return None };
        Some(Committed { offset, noted: element.metadata() == NOTE })
    };
    Ok(places.iter().map(of).collect())
}

/// Whether an operator has set an offset of the group that no member has answered yet.
pub(crate) async fn has_reset(member: &Arc<Member>, places: &[Place]) -> anyhow::Result<bool> {
    let committed = committed(member, places).await?;
    Ok(committed.iter().flatten().any(|committed| !committed.noted))
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
    commit(&member, positions)?;
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

/// Commits offsets with our note for a group that nobody is in.
///
/// # Errors
/// What Kafka says, or that it does not answer.
pub(crate) async fn commit_alone(
    kafka: &KafkaArgs,
    group: &str,
    positions: &[(Place, i64)],
) -> anyhow::Result<()> {
    if positions.is_empty() {
        return Ok(());
    }
    let config = kafka.client_config(&[
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("allow.auto.create.topics", "false"),
    ])?;
    let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
    let offsets = offsets(positions)?;
    let commit = spawn_blocking(move || client.commit(&offsets, CommitMode::Sync));
    timeout(PATIENCE, commit).await.context("Kafka does not answer")??.context("can't commit offsets")
}

fn offsets(positions: &[(Place, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (place, position) in positions {
        let mut element = list.add_partition(&place.topic, place.partition);
        element.set_offset(Offset::Offset(*position))?;
        element.set_metadata(NOTE);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebalance_that_failed_revokes_nothing() {
        let (changes, mut events) = unbounded_channel();
        let log = LogContext::default();
        let context = GroupContext { changes, closing: AtomicBool::new(false), log };
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
