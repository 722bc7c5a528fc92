//! Creates missing topics, and refuses topics with settings that would lose records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::events;
use crate::exit::Stop;
use crate::kafka::{self, KafkaArgs, LogContext};
use crate::outage::Unreachable;
use crate::record::RecordType;
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

mod inspect;

pub use inspect::{TopicFault, TopicState, inspect};

/// The minimum `max.message.bytes` of a topic. The largest known object has 194 KB, and a page's records of one partition may
/// be compressed into one batch.
pub const MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// The same number as the value of a setting.
pub const MESSAGE_BYTES_TEXT: &str = "8388608";
/// The timeout of requests to Kafka, and of the election of leaders for new topics.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the leaders of new topics are checked.
const LEADER_INTERVAL: Duration = Duration::from_millis(50);

/// A topic with its required settings.
struct TopicSpec {
    name: String,
    partitions: i32,
    settings: &'static [(&'static str, &'static str)],
}

/// `min.compaction.lag.ms`: a consumer with a lag of up to a week still reads every record, so that its ledger is exact.
const DATA: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("max.message.bytes", MESSAGE_BYTES_TEXT),
    ("segment.ms", "86400000"),
    ("min.compaction.lag.ms", "604800000"),
];
/// Only the last record of a key is needed, and a producer reads its partition at each start.
const STATE: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("max.message.bytes", MESSAGE_BYTES_TEXT), ("segment.ms", "86400000")];
const DEAD: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("max.message.bytes", MESSAGE_BYTES_TEXT),
    ("retention.ms", "2592000000"),
];

/// The number of partitions of each new data topic.
#[must_use]
pub fn partitions(datasets: u16) -> BTreeMap<RecordType, i32> {
    let of = |kind| if kind == RecordType::Datasets { i32::from(datasets) } else { 1 };
    RecordType::ALL.into_iter().map(|kind| (kind, of(kind))).collect()
}

fn specs(topics: &Topics, datasets: u16) -> Vec<TopicSpec> {
    let regions = i32::try_from(Region::ALL.len()).unwrap_or(i32::MAX);
    let data = |(kind, partitions)| TopicSpec { name: topics.data(kind), partitions, settings: DATA };
    let mut all: Vec<_> = partitions(datasets).into_iter().map(data).collect();
    all.push(TopicSpec { name: topics.cursors(), partitions: regions, settings: STATE });
    all.push(TopicSpec { name: topics.verdicts(), partitions: 1, settings: STATE });
    all.push(TopicSpec { name: topics.dead_letters(), partitions: 1, settings: DEAD });
    all
}

/// Creates missing topics, checks the settings of all, and returns the number of partitions of each data topic.
///
/// # Errors
/// [`Stop::Guard`] for a topic that deletes records, refuses large ones, or has no partition for the cursor of a region, otherwise
/// the error of Kafka.
pub async fn ensure(
    regions: &[Region],
    kafka: &KafkaArgs,
    topics: &Topics,
    partitions: u16,
) -> anyhow::Result<BTreeMap<RecordType, i32>> {
    let config = kafka.client_config(&[])?;
    let admin: Arc<Admin> = Arc::new(kafka::create(&config, LogContext::default())?);
    let specs = specs(topics, partitions);
    let client = Arc::clone(&admin);
    let metadata = spawn_blocking(move || client.inner().fetch_metadata(None, TOPIC_TIMEOUT)).await?;
    let metadata = metadata.context("Kafka is unreachable")?;
    let is_missing = |spec: &&TopicSpec| metadata.topics().iter().all(|topic| topic.name() != spec.name);
    let missing: Vec<_> = specs.iter().filter(is_missing).map(new_topic).collect();
    create(&admin, &missing).await?;
    let names: Vec<String> = specs.iter().map(|topic| topic.name.clone()).collect();
    let client = Arc::clone(&admin);
    let counts = spawn_blocking(move || await_leaders(&client, &names)).await??;
    let count = |name: &String| counts.get(name).map(|found| found.partitions);
    check_cursors(&topics.cursors(), count(&topics.cursors()).unwrap_or_default(), regions)?;
    // Not earlier: right after the creation of a topic, a broker may know its name and not yet its settings.
    check_settings(&admin, &specs, &counts).await?;
    let of_kind = |kind| Some((kind, count(&topics.data(kind))?));
    Ok(RecordType::ALL.into_iter().filter_map(of_kind).collect())
}

async fn create(admin: &Admin, missing: &[NewTopic<'_>]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let options =
        AdminOptions::new().operation_timeout(Some(TOPIC_TIMEOUT)).request_timeout(Some(TOPIC_TIMEOUT));
    let answers = admin.create_topics(missing, &options).await.context("Kafka is unreachable")?;
    for answer in answers {
        match answer {
            Ok(name) => tracing::info!(event = events::TOPIC_CREATED, topic = name, "topic created"),
            // The producer of another region created it.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(KafkaError::AdminOp(code))
                    .with_context(|| format!("can't create the topic {name}, which requires CREATE on it"));
            }
        }
    }
    Ok(())
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    // -1 is the broker's default replication factor.
    let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(-1));
    spec.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}

type Admin = AdminClient<LogContext>;

/// Waits until every partition has a leader. A new topic may have none yet.
fn await_leaders(admin: &Admin, names: &[String]) -> anyhow::Result<BTreeMap<String, Led>> {
    let deadline = Instant::now() + TOPIC_TIMEOUT;
    loop {
        let metadata = admin.inner().fetch_metadata(None, TOPIC_TIMEOUT).context("Kafka is unreachable")?;
        let counts: BTreeMap<_, _> =
            names.iter().filter_map(|name| Some((name.clone(), led(&metadata, name)?))).collect();
        if counts.len() == names.len() {
            return Ok(counts);
        }
        if Instant::now() > deadline {
            let is_shown = |name: &&String| metadata.topics().iter().any(|topic| topic.name() == *name);
            if let Some(hidden) = names.iter().find(|name| !is_shown(name)) {
                bail!(
                    "the topic {hidden} is not visible: this user may lack DESCRIBE on it (docs/how-to/grant-kafka-rights.md)"
                );
            }
            bail!(Unreachable("some partitions have no leader; are all brokers up?".to_owned()));
        }
        std::thread::sleep(LEADER_INTERVAL);
    }
}

/// A topic whose partitions all have a leader.
struct Led {
    partitions: i32,
    /// The smallest number of replicas of a partition.
    replicas: usize,
}

fn led(metadata: &Metadata, name: &str) -> Option<Led> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name)?;
    let partitions = topic.partitions();
    let is_led = !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0);
    let count = i32::try_from(partitions.len()).ok().filter(|_| is_led)?;
    Some(Led { partitions: count, replicas: inspect::replicas(topic) })
}

/// Refuses a topic of cursors, with this number of partitions, that lacks the one of a region.
fn check_cursors(name: &str, found: i32, regions: &[Region]) -> Result<(), Stop> {
    match regions.iter().find(|region| region.cursor_partition() >= found) {
        None => Ok(()),
        Some(region) => {
            let needed = region.cursor_partition() + 1;
            Err(Stop::Guard(format!(
                "the topic {name} has too few partitions: {found}, and the cursor of region {region} needs {needed}. Add them: \
                 kafka-topics.sh --alter --topic {name} --partitions {needed}"
            )))
        }
    }
}

async fn check_settings(
    admin: &Admin,
    specs: &[TopicSpec],
    topics: &BTreeMap<String, Led>,
) -> anyhow::Result<()> {
    let resources: Vec<_> = specs.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let options = AdminOptions::new().request_timeout(Some(TOPIC_TIMEOUT));
    let answers = admin.describe_configs(&resources, &options).await?;
    for (answer, spec) in answers.into_iter().zip(specs) {
        let found = answer.map_err(KafkaError::AdminOp).with_context(|| {
            format!(
                "can't read the settings of the topic {}, which requires DESCRIBE_CONFIGS on it",
                spec.name
            )
        })?;
        let OwnedResourceSpecifier::Topic(name) = &found.specifier else { continue };
        let Some(topic) = specs.iter().find(|topic| topic.name == *name) else { continue };
        check(topic, topics.get(name).map_or(usize::MAX, |led| led.replicas), &found)?;
    }
    Ok(())
}

/// Refuses a topic that would lose or refuse records. The rules are those of [`inspect`].
fn check(topic: &TopicSpec, replicas: usize, found: &ConfigResource) -> anyhow::Result<()> {
    let name = &topic.name;
    let value = |name: &str| found.get(name).and_then(|entry| entry.value.clone());
    for fault in inspect::setting_faults(topic, replicas, value) {
        match fault {
            TopicFault::SettingsHidden => bail!(
                "the settings of the topic {name} are not visible: this user lacks DESCRIBE_CONFIGS on it \
                 (docs/how-to/grant-kafka-rights.md)"
            ),
            TopicFault::Setting { name: setting, is, must, is_fatal: true } => {
                let (harm, must) = match setting {
                    "cleanup.policy" => ("loses records", format!("`{must}`")),
                    inspect::MIN_IN_SYNC => {
                        ("refuses every record", format!("at most {must}, the number of its replicas"))
                    }
                    _ => ("refuses large records", format!("{must} or more")),
                };
                bail!(Stop::Guard(format!(
                    "the topic {name} has {setting}={is}, which {harm}: it must be {must}"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_cursors_needs_a_partition_for_each_crawled_region() {
        assert!(check_cursors("c", 2, &Region::ALL).is_ok() && check_cursors("c", 1, &[Region::Us]).is_ok());
        for regions in [&Region::ALL[..], &[Region::Eu]] {
            let refused = check_cursors("c", 1, regions).unwrap_err().to_string();
            assert!(
                refused.contains("region eu needs 2") && refused.ends_with("--partitions 2"),
                "{refused}"
            );
        }
    }

    #[test]
    fn the_text_of_the_largest_record_is_its_number() {
        assert_eq!(MESSAGE_BYTES_TEXT.parse(), Ok(MESSAGE_BYTES));
    }
}
