//! Checks of Kafka that the `doctor` of both programs has.

use std::time::Duration;

use crate::doctor::Finding;
use crate::exit::Stop;
use crate::human::counted;
use crate::kafka::KafkaArgs;
use crate::outage;
use crate::rights;
use crate::topic_setup::{TopicFault, TopicState, inspect};
use crate::version;

mod advertised;

/// The next step after an error of Kafka that has no better one.
pub const CHECK_BROKERS: &str = "check --brokers (KAFKA_BROKERS) and the log of the brokers";

const BROKERS: &str = "brokers";
const LISTENERS: &str = "advertised_listeners";
const TOPICS: &str = "topics";

/// The configuration in effect, without secrets.
///
/// # Errors
/// [`Stop::Usage`] if an option is invalid.
pub fn configuration(kafka: &KafkaArgs) -> Result<String, Stop> {
    let version = version::librdkafka();
    let options = match kafka.shown_options()? {
        options if options.is_empty() => "none".to_owned(),
        options => options,
    };
    let KafkaArgs { brokers, topic_prefix, .. } = kafka;
    Ok(format!(
        "brokers {brokers}, topic prefix {topic_prefix}, Kafka options {options}, librdkafka {version}"
    ))
}

/// A problem with the text of Kafka's error. The next command is `grant` only if a permission is missing.
#[must_use]
pub fn failed(check: &'static str, error: anyhow::Error, grant: impl Into<String>) -> Finding {
    let next = if rights::is_denied(&error) { grant.into() } else { CHECK_BROKERS.to_owned() };
    Finding::problem(check, format!("{:#}", rights::name(error)), next)
}

/// Whether Kafka answers. The finding is that a check was skipped.
///
/// # Errors
/// The finding, if Kafka does not answer.
pub async fn reached(kafka: &KafkaArgs, check: &'static str) -> Result<(), Finding> {
    let reached = outage::reach(kafka).await;
    reached.map_err(|_| Finding::skipped(check, "Kafka is unreachable or refuses this client"))
}

/// Whether Kafka is reachable, and each broker under the address that it advertises. If none is, a client gets the addresses
/// from the first broker and then can't do anything.
///
/// # Errors
/// The error of Kafka after the first answer.
pub async fn brokers(kafka: KafkaArgs, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    let (broker, addresses) = match outage::reach(&kafka).await {
        Ok(()) => {
            let addresses = advertised::listed(&kafka, limit).await?;
            let number = counted(addresses.len() as u64, "broker", "brokers");
            let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            (Finding::ok(BROKERS, format!("{number}: {}", listed.join(", "))), addresses)
        }
        Err(error) => {
            let error = format!("{error:#}");
            let next = next_for(&error);
            (Finding::problem(BROKERS, error, next), advertised::learned(&kafka).await?)
        }
    };
    if addresses.is_empty() {
        return Ok(vec![broker, Finding::skipped(LISTENERS, "no broker has listed any address")]);
    }
    let mut findings = vec![broker];
    let tries: Vec<_> = addresses.into_iter().map(|address| tokio::spawn(address.connect())).collect();
    for tried in tries {
        findings.extend(tried.await?.err().map(|found| Finding::problem(LISTENERS, found, ADVERTISED)));
    }
    if findings.len() == 1 {
        let found = "every broker accepts connections at the address that it advertises";
        findings.push(Finding::ok(LISTENERS, found));
    }
    Ok(findings)
}

const ADVERTISED: &str =
    "set advertised.listeners of that broker to an address that this host can reach, and restart it";

/// The setting that is probably wrong.
fn next_for(error: &str) -> String {
    if error.contains("refuses this client") {
        "check security.protocol, sasl.* and ssl.* in --kafka-option (KAFKA_OPTIONS)".to_owned()
    } else {
        "check --brokers (KAFKA_BROKERS), and that the brokers run".to_owned()
    }
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
                    "{name} has {setting}={is}, which is below {must}: late consumers may miss records"
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
    fn only_a_missing_permission_leads_to_the_script_that_grants_it() {
        use rdkafka::error::{KafkaError, RDKafkaErrorCode};
        let next = |code| {
            let error = anyhow::Error::from(KafkaError::MetadataFetch(code)).context("can't open");
            failed("check", error, "grant").next
        };
        assert_eq!(next(RDKafkaErrorCode::TransactionalIdAuthorizationFailed).as_deref(), Some("grant"));
        assert_eq!(next(RDKafkaErrorCode::OperationTimedOut).as_deref(), Some(CHECK_BROKERS));
    }

    #[test]
    fn missing_topics_are_a_problem_for_the_consumer_only() {
        let level = |missing: &[&str], role| missing_topics(missing, 2, role).map(|finding| finding.level);
        assert_eq!(level(&["a", "b"], Role::Producer), Some(Level::Ok));
        assert_eq!(level(&["a"], Role::Producer), Some(Level::Warning));
        assert_eq!(level(&["a"], Role::Consumer), Some(Level::Problem));
        assert_eq!(level(&[], Role::Consumer), None);
    }
}
