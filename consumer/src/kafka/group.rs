//! Membership in the consumer group.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::kafka::{self, KafkaArgs};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::kafka::context::{GroupContext, Member, Rebalance, TIMEOUT};
use crate::kafka::offsets;
use crate::model::copy_id::CopyId;
use crate::model::topic::{TopicKind, TopicPartition};

/// librdkafka's own default.
const SESSION: Duration = Duration::from_secs(45);

/// A member of the group and the changes of its assignment.
pub(crate) struct Joined {
    pub(crate) member: Arc<Member>,
    pub(crate) changes: UnboundedReceiver<Rebalance>,
    /// How long the group takes to notice that a member is gone.
    pub(crate) session: Duration,
}

/// Joins the group for a copy of the tables, which the other members can tell by the client id.
pub(crate) fn join(kafka: &KafkaArgs, group: &str, copy: &CopyId) -> anyhow::Result<Joined> {
    let note = copy.to_string();
    let config = kafka.client_config(&[
        ("client.id", &note),
        ("group.id", group),
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
    let (context, events) = GroupContext::new(note);
    let member: Member = kafka::create(&config, context)?;
    let topics = kafka.topics();
    let names = TopicKind::ALL.map(|kind| kind.topic(&topics));
    member.subscribe(&names.each_ref().map(String::as_str))?;
    Ok(Joined { member: Arc::new(member), changes: events, session })
}

/// Answers an assignment: each partition starts at its position.
pub(crate) fn assign(member: &Member, starts: &[(TopicPartition, i64)]) -> anyhow::Result<()> {
    member.incremental_assign(&offsets::offsets(member, starts)?).context("can't take the assignment")
}

/// Moves a partition of the assignment to an offset; what was fetched of it before is dropped.
pub(crate) async fn seek(member: &Arc<Member>, place: &TopicPartition, offset: i64) -> anyhow::Result<()> {
    let (member, place) = (Arc::clone(member), place.clone());
    let seek = move || member.seek(&place.topic, place.partition, Offset::Offset(offset), TIMEOUT);
    Ok(spawn_blocking(seek).await??)
}

/// Stops fetching a partition while it stays ours; what was fetched and not received is fetched again.
pub(crate) fn pause(member: &Member, place: &TopicPartition) -> anyhow::Result<()> {
    member.pause(&list(place)).with_context(|| format!("can't pause {}[{}]", place.topic, place.partition))
}

/// Fetches a paused partition again.
pub(crate) fn resume(member: &Member, place: &TopicPartition) -> anyhow::Result<()> {
    member.resume(&list(place)).with_context(|| format!("can't resume {}[{}]", place.topic, place.partition))
}

/// A list of one partition.
pub(crate) fn list(place: &TopicPartition) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&place.topic, place.partition);
    list
}

/// Answers a change of the assignment without more ado, as it is done once the consumer is to leave.
pub(crate) fn answer(member: &Member, change: &Rebalance) -> KafkaResult<()> {
    match change {
        Rebalance::Assign(list) => member.incremental_assign(list),
        Rebalance::Revoke { partitions, .. } => member.incremental_unassign(partitions),
    }
}

/// Leaves the group, with a last commit of offsets.
///
/// # Errors
/// When that takes long, as it does while Kafka is away; the group notices by itself then.
pub(crate) async fn leave(
    member: Arc<Member>,
    mut changes: UnboundedReceiver<Rebalance>,
    positions: &[(TopicPartition, i64)],
) -> anyhow::Result<()> {
    member.context().close();
    while let Ok(change) = changes.try_recv() {
        answer(&member, &change)?;
    }
    offsets::commit(&member, positions)?;
    // Dropping the consumer closes it, which waits for the group and for the commit. On a thread of its
    // own: the runtime would wait for one of its own for ever.
    let (left, has_left) = oneshot::channel();
    std::thread::spawn(move || {
        member.unsubscribe();
        drop(member);
        let _ = left.send(());
    });
    match timeout(TIMEOUT, has_left).await {
        Ok(_) => Ok(()),
        Err(_) => bail!("can't leave the group in {} s: Kafka does not answer", TIMEOUT.as_secs()),
    }
}
