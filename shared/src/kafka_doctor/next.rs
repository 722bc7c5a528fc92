//! The next commands for findings about Kafka.

use crate::cursor_reader::UnreadableCursor;
use crate::doctor::shell_word;
use crate::kafka::KafkaArgs;
use crate::outage::NoAccess;

/// Shows whether something listens at these addresses.
pub(super) fn connect<'a>(addresses: impl Iterator<Item = &'a str>) -> String {
    let urls: Vec<String> =
        addresses.map(|address| shell_word(&format!("telnet://{}", address.trim()))).collect();
    format!("curl --verbose --max-time 3 {}", urls.join(" "))
}

/// The brokers can't be reached, or refuse this client.
pub(super) fn no_access(kafka: &KafkaArgs, no_access: &NoAccess) -> String {
    let NoAccess { next, is_refusal, .. } = no_access;
    if *is_refusal {
        let tool = "kafka-broker-api-versions.sh --bootstrap-server";
        let brokers = shell_word(&kafka.brokers);
        format!(
            "{tool} {brokers} --command-config client.properties  # the same login for Kafka's tools; then {next}"
        )
    } else {
        format!("{}  # {next}", connect(kafka.brokers.split(',')))
    }
}

/// An error of Kafka has no better next command.
#[must_use]
pub fn check_brokers(kafka: &KafkaArgs) -> String {
    format!("{}  # and look into the log of the brokers", connect(kafka.brokers.split(',')))
}

/// A broker can't be reached at the address that it advertises.
pub(super) fn advertised(address: &str) -> String {
    format!(
        "{}  # set advertised.listeners of this broker to an address that this host can reach, and restart it",
        connect([address].into_iter())
    )
}

/// One of Kafka's own tools, as a user who may administrate the topics.
pub(super) fn tool(kafka: &KafkaArgs, tool: &str, args: &str) -> String {
    format!("kafka-{tool}.sh --bootstrap-server {} {args}", shell_word(&kafka.brokers))
}

/// Grants the rights on the topics.
#[must_use]
pub fn grant_topics(kafka: &KafkaArgs) -> String {
    let (brokers, prefix) = (shell_word(&kafka.brokers), shell_word(&kafka.topic_prefix));
    format!("deploy/grant-kafka-rights {brokers} --prefix {prefix}")
}

/// Grants the rights on the topics and on a group.
#[must_use]
pub fn grant_group(kafka: &KafkaArgs, group: &str) -> String {
    format!("{} --group {}", grant_topics(kafka), shell_word(group))
}

/// Shows a record that this build can't read.
#[must_use]
pub fn show_cursor(
    kafka: &KafkaArgs,
    UnreadableCursor { topic, partition, offset, .. }: &UnreadableCursor,
) -> String {
    let args = format!("--topic {topic} --partition {partition} --offset {offset} --max-messages 1");
    let note =
        "if a newer build wrote it, install that build; otherwise see docs/how-to/recover-lost-topics.md";
    format!("{}  # {note}", tool(kafka, "console-consumer", &args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_that_grants_rights_are_quoted() {
        let (brokers, topic_prefix) = ("a:1, b:2".to_owned(), "p$.".to_owned());
        let kafka = KafkaArgs { brokers, topic_prefix, options: Vec::new() };
        let next = "deploy/grant-kafka-rights 'a:1, b:2' --prefix 'p$.' --group 'g 1'";
        assert_eq!(grant_group(&kafka, "g 1"), next);
    }

    #[test]
    fn each_broker_is_connected_to() {
        assert_eq!(connect("a:1, b:2".split(',')), "curl --verbose --max-time 3 telnet://a:1 telnet://b:2");
        // A broker chooses the address that it advertises.
        let advertised = connect("[::1]:1,a;b:1".split(','));
        assert_eq!(advertised, "curl --verbose --max-time 3 'telnet://[::1]:1' 'telnet://a;b:1'");
    }
}
