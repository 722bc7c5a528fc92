//! The topics: made where they are missing, refused where they would lose records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::exit::Stop;
use crate::kafka::{self, KafkaArgs, LogContext};
use crate::outage::Away;
use crate::record::Kind;
use crate::region::Region;
use crate::topics::Topics;
use anyhow::{Context, bail};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use tokio::task::spawn_blocking;

/// The least that a topic must take in one batch: the largest object seen has 194 KB, and a page's
/// records of one partition may be compressed into one batch.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a new topic may take to have its leaders.
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// A topic as it should be.
struct Wanted {
    name: String,
    partitions: i32,
    settings: &'static [(&'static str, &'static str)],
}

/// `min.compaction.lag.ms`: a live consumer that is a week behind still finds every record, so that its
/// books are exact.
const DATA: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("max.message.bytes", "8388608"),
    ("segment.ms", "86400000"),
    ("min.compaction.lag.ms", "604800000"),
];
/// Only the last cursor counts, and a producer reads its partition at each start.
const STATE: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("max.message.bytes", "8388608"), ("segment.ms", "86400000")];
const DEAD: &[(&str, &str)] =
    &[("cleanup.policy", "delete"), ("max.message.bytes", "8388608"), ("retention.ms", "2592000000")];

/// How many partitions each kind's topic gets where it has to be made.
#[must_use]
pub fn partitions(datasets: u16) -> BTreeMap<Kind, i32> {
    let of = |kind| if kind == Kind::Datasets { i32::from(datasets) } else { 1 };
    Kind::ALL.into_iter().map(|kind| (kind, of(kind))).collect()
}

fn wanted(topics: &Topics, datasets: u16) -> Vec<Wanted> {
    let regions = i32::try_from(Region::ALL.len()).unwrap_or(i32::MAX);
    let data = |(kind, partitions)| Wanted { name: topics.data(kind), partitions, settings: DATA };
    let mut all: Vec<_> = partitions(datasets).into_iter().map(data).collect();
    all.push(Wanted { name: topics.cursors(), partitions: regions, settings: STATE });
    all.push(Wanted { name: topics.verdicts(), partitions: 1, settings: STATE });
    all.push(Wanted { name: topics.dead_letters(), partitions: 1, settings: DEAD });
    all
}

/// Makes the topics that are missing, refuses those that can't hold what they must, and tells how many
/// partitions each kind's topic has.
///
/// # Errors
/// [`Stop::Guard`] for a topic that deletes records or takes only smaller ones; else what Kafka said.
pub async fn ensure(
    kafka: &KafkaArgs,
    topics: &Topics,
    partitions: u16,
) -> anyhow::Result<BTreeMap<Kind, i32>> {
    let config = kafka.client_config(&[])?;
    let admin: Arc<Admin> = Arc::new(kafka::create(&config, LogContext::default())?);
    let wanted = wanted(topics, partitions);
    let client = Arc::clone(&admin);
    let metadata = spawn_blocking(move || client.inner().fetch_metadata(None, PATIENCE)).await?;
    let metadata = metadata.context("Kafka can't be reached")?;
    let is_missing = |wanted: &&Wanted| metadata.topics().iter().all(|topic| topic.name() != wanted.name);
    let missing: Vec<_> = wanted.iter().filter(is_missing).map(new_topic).collect();
    create(&admin, &missing).await?;
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let client = Arc::clone(&admin);
    let counts = spawn_blocking(move || await_leaders(&client, &names)).await??;
    // Not before: of a topic that was just made a broker may know the name and not yet the settings.
    check_settings(&admin, &wanted).await?;
    let of_kind = |kind| counts.get(&topics.data(kind)).map(|count| (kind, *count));
    Ok(Kind::ALL.into_iter().filter_map(of_kind).collect())
}

async fn create(admin: &Admin, missing: &[NewTopic<'_>]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let answers = admin.create_topics(missing, &options).await.context("Kafka can't be reached")?;
    for answer in answers {
        match answer {
            Ok(name) => tracing::info!(topic = name, "made the topic"),
            // Another region's producer was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(KafkaError::AdminOp(code))
                    .with_context(|| format!("can't make the topic {name}, which takes CREATE on it"));
            }
        }
    }
    Ok(())
}

fn new_topic(wanted: &Wanted) -> NewTopic<'_> {
    // -1: as many replicas as the broker makes by default.
    let topic = NewTopic::new(&wanted.name, wanted.partitions, TopicReplication::Fixed(-1));
    wanted.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}

type Admin = AdminClient<LogContext>;

/// Waits until every partition has a leader; a topic that was just made may have none yet.
fn await_leaders(admin: &Admin, names: &[String]) -> anyhow::Result<BTreeMap<String, i32>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).context("Kafka can't be reached")?;
        let counts: BTreeMap<_, _> =
            names.iter().filter_map(|name| Some((name.clone(), led_partitions(&metadata, name)?))).collect();
        if counts.len() == names.len() {
            return Ok(counts);
        }
        if Instant::now() > deadline {
            let is_shown = |name: &&String| metadata.topics().iter().any(|topic| topic.name() == *name);
            if let Some(hidden) = names.iter().find(|name| !is_shown(name)) {
                bail!(
                    "Kafka does not show the topic {hidden}: this user may lack DESCRIBE on it (docs/how-to/grant-kafka-rights.md)"
                );
            }
            bail!(Away("the topics have partitions without a leader; is every broker up?".to_owned()));
        }
        std::thread::sleep(LEADER_PAUSE);
    }
}

fn led_partitions(metadata: &Metadata, name: &str) -> Option<i32> {
    let partitions = metadata.topics().iter().find(|topic| topic.name() == name)?.partitions();
    let led = !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0);
    led.then(|| i32::try_from(partitions.len()).ok()).flatten()
}

async fn check_settings(admin: &Admin, wanted: &[Wanted]) -> anyhow::Result<()> {
    let resources: Vec<_> = wanted.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = admin.describe_configs(&resources, &options).await?;
    for (answer, asked) in answers.into_iter().zip(wanted) {
        let found = answer.map_err(KafkaError::AdminOp).with_context(|| {
            format!("can't read the settings of the topic {}, which takes DESCRIBE_CONFIGS on it", asked.name)
        })?;
        let OwnedResourceSpecifier::Topic(name) = &found.specifier else { continue };
        let Some(topic) = wanted.iter().find(|topic| topic.name == *name) else { continue };
        check(topic, &found)?;
    }
    Ok(())
}

fn check(topic: &Wanted, found: &ConfigResource) -> anyhow::Result<()> {
    let value = |name| found.get(name).and_then(|entry| entry.value.as_deref());
    let (Some(policy), Some(bytes)) = (value("cleanup.policy"), value("max.message.bytes")) else {
        // The client drops the broker's answer that this user may not see them.
        bail!(
            "Kafka doesn't tell the settings of the topic {}: this user lacks DESCRIBE_CONFIGS on it \
             (docs/how-to/grant-kafka-rights.md)",
            topic.name
        );
    };
    let compacted = topic.settings.contains(&("cleanup.policy", "compact"));
    if compacted && policy != "compact" {
        bail!(Stop::Guard(format!(
            "the topic {} has cleanup.policy={policy}, which loses records: it must be `compact`",
            topic.name
        )));
    }
    if bytes.parse::<usize>().is_ok_and(|bytes| bytes < MESSAGE_BYTES) {
        bail!(Stop::Guard(format!(
            "the topic {} has max.message.bytes={bytes}, which refuses large records: it must be {MESSAGE_BYTES} or more",
            topic.name
        )));
    }
    Ok(())
}
