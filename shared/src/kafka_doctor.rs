//! Checks of Kafka that the `doctor` of both programs has.

use std::time::Duration;

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::doctor::Finding;
use crate::exit::Stop;
use crate::human::counted;
use crate::kafka::{self, KafkaArgs, LogContext};
use crate::outage;
use crate::topic_setup::{TopicFault, TopicState, inspect};

/// How long a connection to an advertised address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const BROKERS: &str = "brokers";
const LISTENERS: &str = "advertised_listeners";
const TOPICS: &str = "topics";

/// The configuration in effect, without secrets.
///
/// # Errors
/// [`Stop::Usage`] if an option is invalid.
pub fn configuration(kafka: &KafkaArgs) -> Result<String, Stop> {
    let version = rdkafka::util::get_rdkafka_version().1;
    let options = match kafka.shown_options()? {
        options if options.is_empty() => "none".to_owned(),
        options => options,
    };
    let KafkaArgs { brokers, topic_prefix, .. } = kafka;
    Ok(format!(
        "brokers {brokers}, topic prefix {topic_prefix}, Kafka options {options}, librdkafka {version}"
    ))
}

/// Whether Kafka answers. The finding is that a check was skipped.
///
/// # Errors
/// The finding, if Kafka does not answer.
pub async fn reached(kafka: &KafkaArgs, check: &'static str) -> Result<(), Finding> {
    let reached = outage::reach(kafka).await;
    reached.map_err(|_| Finding::skipped(check, "Kafka is unreachable or refuses this client"))
}

/// Whether Kafka is reachable, and each broker under the address that it advertises.
///
/// # Errors
/// The error of Kafka after the first answer.
pub async fn brokers(kafka: KafkaArgs, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    if let Err(error) = outage::reach(&kafka).await {
        let (error, listeners) = (format!("{error:#}"), Finding::skipped(LISTENERS, "Kafka is unreachable"));
        return Ok(vec![Finding::problem(BROKERS, error.clone(), next_for(&error)), listeners]);
    }
    let addresses = addresses(&kafka, limit).await?;
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let number = counted(addresses.len() as u64, "broker", "brokers");
    let mut findings = vec![Finding::ok(BROKERS, format!("{number}: {}", listed.join(", ")))];
    let mut tries = Vec::new();
    for address in addresses {
        tries.push(tokio::spawn(try_address(address)));
    }
    for tried in tries {
        findings.extend(tried.await?);
    }
    if findings.len() == 1 {
        findings.push(Finding::ok(
            LISTENERS,
            "every broker accepts connections at the address that it advertises",
        ));
    }
    Ok(findings)
}

/// The setting that is probably wrong.
fn next_for(error: &str) -> String {
    if error.contains("refuses this client") {
        "check security.protocol, sasl.* and ssl.* in --kafka-option (KAFKA_OPTIONS)".to_owned()
    } else {
        "check --brokers (KAFKA_BROKERS), and that the brokers run".to_owned()
    }
}

/// The address that a broker advertises.
struct Address {
    id: i32,
    host: String,
    port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}:{}", self.id, self.host, self.port)
    }
}

async fn addresses(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<Vec<Address>> {
    let client: BaseConsumer<LogContext> = kafka::create(&kafka.client_config(&[])?, LogContext::default())?;
    let metadata = spawn_blocking(move || client.fetch_metadata(None, limit)).await?;
    let metadata = metadata.context("Kafka does not list its brokers")?;
    let address = |broker: &rdkafka::metadata::MetadataBroker| Address {
        id: broker.id(),
        host: broker.host().to_owned(),
        port: u16::try_from(broker.port()).unwrap_or_default(),
    };
    Ok(metadata.brokers().iter().map(address).collect())
}

/// A problem if the address does not accept connections.
async fn try_address(address: Address) -> Option<Finding> {
    let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect((address.host.as_str(), address.port))).await;
    let error = match connected {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
    };
    let found = format!("broker {address}, which it advertises, can't be reached from here: {error}");
    Some(Finding::problem(
        LISTENERS,
        found,
        "set advertised.listeners of that broker to an address that this host can reach, and restart it",
    ))
}

/// The program that looks at the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It creates missing topics, and must be allowed to read their settings.
    Producer,
    /// It needs the topics, and need not be allowed to read their settings.
    Consumer,
}

/// Whether the topics exist and have the settings that they need.
///
/// # Errors
/// The error of Kafka.
pub async fn topics(kafka: KafkaArgs, role: Role, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, TOPICS).await {
        return Ok(vec![skipped]);
    }
    let states = inspect(&kafka, limit).await?;
    let is_missing = |state: &&TopicState| state.faults.contains(&TopicFault::Missing);
    let missing: Vec<&str> = states.iter().filter(is_missing).map(|state| state.name.as_str()).collect();
    let mut findings: Vec<Finding> = missing_topics(&missing, states.len(), role).into_iter().collect();
    for state in states.iter().filter(|state| !is_missing(state)) {
        findings.extend(state.faults.iter().map(|fault| finding(&kafka, role, state, fault)));
    }
    if findings.is_empty() {
        let all: Vec<String> =
            states.iter().map(|state| format!("{} ({})", state.name, state.partitions)).collect();
        let found = format!("each exists with the settings that it needs; partitions: {}", all.join(", "));
        findings.push(Finding::ok(TOPICS, found));
    }
    Ok(findings)
}

fn missing_topics(missing: &[&str], total: usize, role: Role) -> Option<Finding> {
    let names = missing.join(", ");
    match (missing.len(), role) {
        (0, _) => None,
        (all, Role::Producer) if all == total => {
            Some(Finding::ok(TOPICS, "there are no topics yet; the first crawl creates them"))
        }
        (_, Role::Producer) => Some(Finding::warning(
            TOPICS,
            format!("missing, or hidden from this user: {names}. The next crawl creates missing topics"),
            "kafka-topics.sh --list, as an administrator",
        )),
        (_, Role::Consumer) => Some(Finding::problem(
            TOPICS,
            format!("missing, or hidden from this user: {names}"),
            "catalog-producer crawl --region us",
        )),
    }
}

fn finding(kafka: &KafkaArgs, role: Role, state: &TopicState, fault: &TopicFault) -> Finding {
    let (name, brokers) = (&state.name, &kafka.brokers);
    match fault {
        TopicFault::Missing => Finding::skipped(TOPICS, format!("{name} is missing")),
        TopicFault::WithoutLeader => Finding::problem(
            TOPICS,
            format!("a partition of {name} has no leader, so brokers are down"),
            format!("kafka-topics.sh --bootstrap-server {brokers} --describe --topic {name}"),
        ),
        TopicFault::FewPartitions { least } => Finding::problem(
            TOPICS,
            format!("{name} has too few partitions: {}", state.partitions),
            format!(
                "kafka-topics.sh --bootstrap-server {brokers} --alter --topic {name} --partitions {least}"
            ),
        ),
        TopicFault::SettingsHidden if role == Role::Consumer => Finding::skipped(
            TOPICS,
            format!("the settings of {name}: this user lacks DESCRIBE_CONFIGS on it"),
        ),
        TopicFault::SettingsHidden => Finding::problem(
            TOPICS,
            format!("this user lacks DESCRIBE_CONFIGS on {name}"),
            format!("deploy/grant-kafka-rights {brokers} --prefix {}", kafka.topic_prefix),
        ),
        TopicFault::Setting { name: setting, is, must, is_fatal } => {
            let next = format!(
                "kafka-configs.sh --bootstrap-server {brokers} --alter --entity-type topics --entity-name {name} \
                 --add-config {setting}={must}"
            );
            if *is_fatal {
                let found =
                    format!("{name} has {setting}={is}, which loses or refuses records: it must be {must}");
                Finding::problem(TOPICS, found, next)
            } else {
                let found = format!(
                    "{name} has {setting}={is}: consumers that are late may miss records below {must}"
                );
                Finding::warning(TOPICS, found, next)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn missing_topics_are_a_problem_for_the_consumer_only() {
        let level = |missing: &[&str], role| missing_topics(missing, 2, role).map(|finding| finding.level);
        assert_eq!(level(&["a", "b"], Role::Producer), Some(Level::Ok));
        assert_eq!(level(&["a"], Role::Producer), Some(Level::Warning));
        assert_eq!(level(&["a"], Role::Consumer), Some(Level::Problem));
        assert_eq!(level(&[], Role::Consumer), None);
    }
}
