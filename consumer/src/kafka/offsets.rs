//! The offsets that the group has committed. Their metadata names the owner: the copy of the tables that committed them. It
//! distinguishes an operator's reset and another copy's offsets from this copy's own.

use std::sync::Arc;

use anyhow::Context;
use catalog_shared::events;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::kafka::context::{Member, REQUEST_TIMEOUT};
use crate::model::copy_id::{self, CopyId};
use crate::model::start::CommittedOffset;
use crate::model::topic::TopicPartition;

/// Commits offsets with the metadata of this copy, without waiting for the response.
pub(crate) fn commit(member: &Member, positions: &[(TopicPartition, i64)]) -> anyhow::Result<()> {
    if positions.is_empty() {
        return Ok(());
    }
    if let Err(error) = member.commit(&offsets(member, positions)?, CommitMode::Async) {
        tracing::debug!(%error, "an offset was not committed");
    }
    Ok(())
}

/// Commits offsets with the metadata of this copy and waits for the response, so that an operator's reset is honoured once.
///
/// A failure is only logged: a reset that is honoured twice applies records twice, which changes nothing.
pub(crate) async fn commit_and_wait(
    member: &Arc<Member>,
    positions: &[(TopicPartition, i64)],
) -> anyhow::Result<()> {
    if positions.is_empty() {
        return Ok(());
    }
    let (member, offsets) = (Arc::clone(member), offsets(member, positions)?);
    let commit = spawn_blocking(move || member.commit(&offsets, CommitMode::Sync));
    // The call has no timeout of its own.
    match timeout(REQUEST_TIMEOUT, commit).await {
        Ok(done) => {
            if let Err(error) = done? {
                tracing::warn!(event = events::OFFSET_COMMIT_FAILED, %error, "an offset was not committed");
            }
        }
        Err(_) => tracing::warn!(
            event = events::OFFSET_COMMIT_FAILED,
            "an offset was not committed: Kafka does not answer"
        ),
    }
    Ok(())
}

/// The group's committed offsets, in the order of `topic_partitions`.
pub(crate) async fn committed<C: ConsumerContext, M: Consumer<C> + Send + Sync + 'static>(
    member: &Arc<M>,
    topic_partitions: &[TopicPartition],
) -> anyhow::Result<Vec<Option<CommittedOffset>>> {
    let found = fetch_committed(member, topic_partitions).await?;
    let of = |topic_partition: &TopicPartition| {
        let element = found.find_partition(&topic_partition.topic, topic_partition.partition)?;
        let Offset::Offset(offset) = element.offset() else { return None };
        Some(CommittedOffset { offset, noted: copy_id::is_ours(element.metadata()) })
    };
    Ok(topic_partitions.iter().map(of).collect())
}

/// The metadata of the group's committed offset of a partition.
pub(crate) async fn owner_metadata<C: ConsumerContext, M: Consumer<C> + Send + Sync + 'static>(
    member: &Arc<M>,
    topic_partition: &TopicPartition,
) -> anyhow::Result<Option<String>> {
    let found = fetch_committed(member, std::slice::from_ref(topic_partition)).await?;
    let element = found.find_partition(&topic_partition.topic, topic_partition.partition);
    Ok(element.map(|element| element.metadata().to_owned()))
}

async fn fetch_committed<C: ConsumerContext, M: Consumer<C> + Send + Sync + 'static>(
    member: &Arc<M>,
    topic_partitions: &[TopicPartition],
) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(topic_partitions.len());
    for topic_partition in topic_partitions {
        list.add_partition(&topic_partition.topic, topic_partition.partition);
    }
    let member = Arc::clone(member);
    let found = spawn_blocking(move || member.committed_offsets(list, REQUEST_TIMEOUT)).await?;
    found.context("can't read the group's offsets")
}

/// Whether an operator has reset an offset of the group and no member has acted on it yet.
pub(crate) async fn has_reset(
    member: &Arc<Member>,
    topic_partitions: &[TopicPartition],
) -> anyhow::Result<bool> {
    let committed = committed(member, topic_partitions).await?;
    Ok(committed.iter().flatten().any(|committed| !committed.noted))
}

/// Commits offsets with metadata of the owner for a group without members.
///
/// # Errors
/// From Kafka, or if it does not answer.
pub(crate) async fn commit_without_members(
    kafka: &KafkaArgs,
    group: &str,
    owner: &CopyId,
    positions: &[(TopicPartition, i64)],
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
    let offsets = with_owner_metadata(&owner.to_string(), positions)?;
    let commit = spawn_blocking(move || client.commit(&offsets, CommitMode::Sync));
    timeout(REQUEST_TIMEOUT, commit).await.context("Kafka does not answer")??.context("can't commit offsets")
}

/// Whether this user may commit offsets of a group, for which a member needs READ on it. Asks for the offset of a partition that
/// no topic can have. Kafka checks the right first, and then refuses the offset, so nothing changes. Blocks without a limit.
///
/// # Errors
/// The error of Kafka, such as that the right is missing.
pub(crate) fn try_commit<C: ConsumerContext>(client: &impl Consumer<C>, topic: &str) -> KafkaResult<()> {
    use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownPartition, UnknownTopicOrPartition};
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(topic, i32::MAX, Offset::Offset(0))?;
    match client.commit(&list, CommitMode::Sync) {
        Err(error) => match error.rdkafka_error_code() {
            // Rights on topics come after that on the group, and `topic_rights` examines them.
            Some(UnknownPartition | UnknownTopicOrPartition | TopicAuthorizationFailed) => Ok(()),
            _ => Err(error),
        },
        done => done,
    }
}

pub(super) fn offsets(
    member: &Member,
    positions: &[(TopicPartition, i64)],
) -> KafkaResult<TopicPartitionList> {
    with_owner_metadata(&member.context().owner_metadata, positions)
}

fn with_owner_metadata(
    owner_metadata: &str,
    positions: &[(TopicPartition, i64)],
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (topic_partition, position) in positions {
        let mut element = list.add_partition(&topic_partition.topic, topic_partition.partition);
        element.set_offset(Offset::Offset(*position))?;
        element.set_metadata(owner_metadata);
    }
    Ok(list)
}
