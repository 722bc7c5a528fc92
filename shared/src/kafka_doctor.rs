//! Checks of Kafka that the `doctor` of both programs has.

use std::time::Duration;

use crate::doctor::Finding;
use crate::exit::Stop;
use crate::human::counted;
use crate::kafka::KafkaArgs;
use crate::outage::{self, NoAccess};
use crate::rights;
use crate::topic_setup::{TopicFault, TopicState, inspect};
use crate::version;
use advertised::Address;

mod advertised;
mod next;

pub use next::{check_brokers, grant_group, grant_topics, show_cursor};

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
pub fn failed(
    check: &'static str,
    error: anyhow::Error,
    kafka: &KafkaArgs,
    grant: impl Into<String>,
) -> Finding {
    let next = if rights::is_denied(&error) { grant.into() } else { check_brokers(kafka) };
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
        Err(error) => (no_access(&kafka, &error), advertised::learned(&kafka).await?),
    };
    if addresses.is_empty() {
        return Ok(vec![broker, Finding::skipped(LISTENERS, "no broker has listed any address")]);
    }
    let mut findings = vec![broker];
    let connect = |address: Address| (address.endpoint(), tokio::spawn(address.connect()));
    let tries: Vec<_> = addresses.into_iter().map(connect).collect();
    for (endpoint, tried) in tries {
        let problem = |found| Finding::problem(LISTENERS, found, next::advertised(&endpoint));
        findings.extend(tried.await?.err().map(problem));
    }
    if findings.len() == 1 {
        let found = "every broker accepts connections at the address that it advertises";
        findings.push(Finding::ok(LISTENERS, found));
    }
    Ok(findings)
}

/// The reason, and the command that shows more about it with the setting that is probably wrong.
fn no_access(kafka: &KafkaArgs, error: &anyhow::Error) -> Finding {
    match error.downcast_ref::<NoAccess>() {
        Some(no_access) => Finding::problem(BROKERS, &no_access.found, next::no_access(kafka, no_access)),
        None => Finding::problem(BROKERS, format!("{error:#}"), check_brokers(kafka)),
    }
}

/// The program that looks at the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It creates missing topics, and must be allowed to read their settings.
    Producer,
    /// It needs the topics, and need not be allowed to read their settings.
    Consumer,
}

/// Whether the topics exist and have the settings that they need.
///
/// # Errors
/// The error of Kafka.
pub async fn topics(kafka: KafkaArgs, side: Side, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, TOPICS).await {
        return Ok(vec![skipped]);
    }
    let states = inspect(&kafka, limit).await?;
    let is_missing = |state: &&TopicState| state.faults.contains(&TopicFault::Missing);
    let missing: Vec<&str> = states.iter().filter(is_missing).map(|state| state.name.as_str()).collect();
    let mut findings: Vec<Finding> =
        missing_topics(&kafka, &missing, states.len(), side).into_iter().collect();
    for state in states.iter().filter(|state| !is_missing(state)) {
        findings.extend(state.faults.iter().map(|fault| finding(&kafka, side, state, fault)));
    }
    if findings.is_empty() {
        let all: Vec<String> =
            states.iter().map(|state| format!("{} ({})", state.name, state.partitions)).collect();
        let found = format!("each exists with the settings that it needs; partitions: {}", all.join(", "));
        findings.push(Finding::ok(TOPICS, found));
    }
    Ok(findings)
}

fn missing_topics(kafka: &KafkaArgs, missing: &[&str], total: usize, side: Side) -> Option<Finding> {
    let names = missing.join(", ");
    match (missing.len(), side) {
        (0, _) => None,
        (all, Side::Producer) if all == total => {
            Some(Finding::ok(TOPICS, "there are no topics yet; the first crawl creates them"))
        }
        (_, Side::Producer) => Some(Finding::warning(
            TOPICS,
            format!("missing, or hidden from this user: {names}. The next crawl creates missing topics"),
            next::tool(kafka, "topics", "--list  # as an administrator"),
        )),
        (_, Side::Consumer) => Some(Finding::problem(
            TOPICS,
            format!("missing, or hidden from this user: {names}"),
            "catalog-producer crawl --region us  # creates missing topics; deploy/grant-kafka-rights shows hidden ones",
        )),
    }
}

fn finding(kafka: &KafkaArgs, side: Side, state: &TopicState, fault: &TopicFault) -> Finding {
    let name = &state.name;
    let alter = |tool: &str, args: String| next::tool(kafka, tool, &format!("{args}  # as an administrator"));
    match fault {
        TopicFault::Missing => Finding::skipped(TOPICS, format!("{name} is missing")),
        TopicFault::WithoutLeader => Finding::problem(
            TOPICS,
            format!("a partition of {name} has no leader: its brokers are down, or a disk of theirs failed"),
            next::tool(kafka, "topics", &format!("--describe --topic {name}")),
        ),
        TopicFault::FewPartitions { least } => Finding::problem(
            TOPICS,
            format!("{name} has too few partitions: {}", state.partitions),
            alter("topics", format!("--alter --topic {name} --partitions {least}")),
        ),
        TopicFault::SettingsHidden if side == Side::Consumer => Finding::skipped(
            TOPICS,
            format!("the settings of {name}: this user lacks DESCRIBE_CONFIGS on it"),
        ),
        TopicFault::SettingsHidden => Finding::problem(
            TOPICS,
            format!("this user lacks DESCRIBE_CONFIGS on {name}"),
            grant_topics(kafka),
        ),
        TopicFault::Setting { name: setting, is, must, is_fatal } => {
            let args =
                format!("--alter --entity-type topics --entity-name {name} --add-config {setting}={must}");
            setting_finding((&format!("{name} has {setting}={is}"), must), *is_fatal, alter("configs", args))
        }
    }
}

/// A setting of a topic, and the value that it must have.
fn setting_finding((setting, must): (&str, &str), is_fatal: bool, next: String) -> Finding {
    if is_fatal {
        let found = format!("{setting}, which loses or refuses records: it must be {must}");
        Finding::problem(TOPICS, found, next)
    } else {
        let found = format!("{setting}, which is below {must}: late consumers may miss records");
        Finding::warning(TOPICS, found, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn kafka() -> KafkaArgs {
        KafkaArgs { brokers: "k:9092".to_owned(), topic_prefix: "p.".to_owned(), options: Vec::new() }
    }

    #[test]
    fn only_a_missing_permission_leads_to_the_script_that_grants_it() {
        use rdkafka::error::{KafkaError, RDKafkaErrorCode};
        let next = |code| {
            let error = anyhow::Error::from(KafkaError::MetadataFetch(code)).context("can't open");
            failed("check", error, &kafka(), "grant").next
        };
        assert_eq!(next(RDKafkaErrorCode::TransactionalIdAuthorizationFailed).as_deref(), Some("grant"));
        assert_eq!(next(RDKafkaErrorCode::OperationTimedOut).as_deref(), Some(&*check_brokers(&kafka())));
    }

    #[test]
    fn missing_topics_are_a_problem_for_the_consumer_only() {
        let level =
            |missing: &[&str], side| missing_topics(&kafka(), missing, 2, side).map(|finding| finding.level);
        assert_eq!(level(&["a", "b"], Side::Producer), Some(Level::Ok));
        assert_eq!(level(&["a"], Side::Producer), Some(Level::Warning));
        assert_eq!(level(&["a"], Side::Consumer), Some(Level::Problem));
        assert_eq!(level(&[], Side::Consumer), None);
    }
}
