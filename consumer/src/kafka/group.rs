//! Membership in the consumer group.

use std::sync::Arc;
use std::time::Duration;

use catalog_shared::kafka::{self, KafkaArgs};
use rdkafka::consumer::Consumer;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::kafka::context::{GroupContext, Member, Rebalance};
use crate::kafka::polling::PollingMember;
use crate::model::copy_id::CopyId;
use crate::model::topic::TopicKind;

/// The default of librdkafka.
const SESSION: Duration = Duration::from_secs(45);

/// A member of the group and the changes of its assignment.
pub(crate) struct Joined {
    /// For offsets. It is polled by `polling`.
    pub(crate) member: Arc<Member>,
    pub(crate) polling: PollingMember,
    pub(crate) changes: UnboundedReceiver<Rebalance>,
    /// The time after which the group removes a dead member.
    pub(crate) session: Duration,
}

/// Joins the group for a copy of the tables. The client id shows the copy to the other members.
pub(crate) fn join(kafka: &KafkaArgs, group: &str, copy: &CopyId) -> anyhow::Result<Joined> {
    let owner_metadata = copy.to_string();
    let config = kafka.client_config(&[
        ("client.id", &owner_metadata),
        ("group.id", group),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("session.timeout.ms", "45000"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // Each assignment names its offsets. If an offset does not exist, the client must not choose another one.
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        // A consumer may start before the producer has created the topics.
        ("topic.metadata.refresh.interval.ms", "10000"),
        // New records are sent at once. Partitions that are assigned or resumed wait for the end of the last fetch, and an idle
        // client spends most of its CPU time on these fetches.
        ("fetch.wait.max.ms", "100"),
        // The delay before a fetcher that has filled the queue checks it again. The default of a second would stall a
        // busy consumer.
        ("fetch.queue.backoff.ms", "10"),
        // As in `reader.rs`.
        ("queued.max.messages.kbytes", "4096"),
        ("max.partition.fetch.bytes", "262144"),
    ])?;
    let session = config.get("session.timeout.ms").and_then(|session| session.parse().ok());
    let session = session.map_or(SESSION, Duration::from_millis);
    let (context, events) = GroupContext::new(owner_metadata);
    let member: Member = kafka::create(&config, context)?;
    let topics = kafka.topics();
    let names = TopicKind::ALL.map(|kind| kind.topic(&topics));
    member.subscribe(&names.each_ref().map(String::as_str))?;
    let member = Arc::new(member);
    let polling = PollingMember::start(Arc::clone(&member))?;
    Ok(Joined { member, polling, changes: events, session })
}
