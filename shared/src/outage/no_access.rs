//! Why Kafka can't be used, and the next step.

use rdkafka::config::ClientConfig;
use thiserror::Error;

use super::diagnosis::Diagnosis;
use super::{tls, token};

/// Kafka is unreachable, or refuses this client.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{found}; {next}")]
pub struct NoAccess {
    /// The brokers' address and the reason.
    pub found: String,
    /// The setting to correct.
    pub next: String,
    /// Whether a broker refuses this client.
    pub is_refusal: bool,
}

/// The next steps for refusals, by a part of librdkafka's text.
const REFUSALS: [(&str, &str); 5] = [
    (
        "Unsupported SASL mechanism",
        "set sasl.mechanism in --kafka-option (KAFKA_OPTIONS) to one that the broker supports",
    ),
    (
        "not valid in current SASL state",
        "this port takes no login: set security.protocol in --kafka-option (KAFKA_OPTIONS) to ssl or plaintext, or name another \
         port in --brokers (KAFKA_BROKERS)",
    ),
    (
        "SASL authentication error",
        "correct the user, password or token in sasl.* of --kafka-option (KAFKA_OPTIONS)",
    ),
    (
        "SSL alert number",
        "set ssl.certificate.location and ssl.key.location in --kafka-option (KAFKA_OPTIONS) to a certificate that the broker \
         accepts; the reason is in its log",
    ),
    (
        "certificate verify failed",
        "set ssl.ca.location in --kafka-option (KAFKA_OPTIONS) to the certificate of the CA that has signed the broker's",
    ),
];
const OTHER_REFUSAL: &str = "check security.protocol, sasl.* and ssl.* in --kafka-option (KAFKA_OPTIONS)";

/// How librdkafka's text names the end of a connection. It is a reset if the broker has not read everything before it closes.
const ENDS: [&str; 4] = ["Disconnected", "closed by peer", "reset by peer", "Broken pipe"];
const NO_TLS: &str = "this port probably has no TLS: name the TLS port in --brokers (KAFKA_BROKERS), or correct \
                      security.protocol in --kafka-option (KAFKA_OPTIONS)";
/// The next steps for connections that end early, by a part of librdkafka's text. It does not always name a plaintext listener.
const DISCONNECTS: [(&str, &str); 3] = [
    ("PLAINTEXT broker listener", NO_TLS),
    ("in state SSL_HANDSHAKE", NO_TLS),
    (
        "in state UP",
        "the broker probably expects a login: set security.protocol, sasl.mechanism, sasl.username and sasl.password in \
         --kafka-option (KAFKA_OPTIONS)",
    ),
];
const UNREACHABLE: &str = "check --brokers (KAFKA_BROKERS), and that the brokers run";

/// The cause of a refusal. Repeats the TLS handshake if the broker's certificate is invalid.
pub(super) fn refusal(config: &ClientConfig, reason: String) -> Diagnosis {
    if let Some(next) = token::next_step(config, &reason) {
        return Diagnosis::new(reason, next);
    }
    if reason.contains("certificate verify failed")
        && let Some((host, port)) = address(&reason)
        && let Some(cause) = tls::certificate_fault(config, host, port)
    {
        return cause;
    }
    let next = next_step(&REFUSALS, &reason).unwrap_or(OTHER_REFUSAL);
    Diagnosis::new(reason, next)
}

/// The cause of an outage. An error if this is not an outage, because the broker expects TLS and this client does not use it.
pub(super) fn outage(config: &ClientConfig, reason: String) -> Result<Diagnosis, Diagnosis> {
    if let Some(next) = token::next_step(config, &reason) {
        return Ok(Diagnosis::new(reason, next));
    }
    let was_connected = ENDS.iter().any(|end| reason.contains(end));
    if was_connected
        && is_plain(config)
        && let Some((host, port)) = address(&reason)
        && tls::is_spoken(host, port)
    {
        return Err(Diagnosis::new(
            format!("{host}:{port} expects TLS, and this client does not use it"),
            "set security.protocol in --kafka-option (KAFKA_OPTIONS) to ssl, or to sasl_ssl with a login",
        ));
    }
    let next = was_connected.then(|| next_step(&DISCONNECTS, &reason)).flatten().unwrap_or(UNREACHABLE);
    Ok(Diagnosis::new(reason, next))
}

fn next_step(steps: &[(&'static str, &'static str)], reason: &str) -> Option<&'static str> {
    steps.iter().find(|(part, _)| reason.contains(part)).map(|(_, next)| *next)
}

fn is_plain(config: &ClientConfig) -> bool {
    !config.get("security.protocol").unwrap_or_default().to_ascii_lowercase().ends_with("ssl")
}

/// The broker's address, with which librdkafka begins its errors: `ssl://host:9093/1: …`, or without a protocol.
fn address(reason: &str) -> Option<(&str, u16)> {
    let rest = reason.split_once("://").map_or(reason, |(_, rest)| rest);
    let (host, port) = rest.split_once('/')?.0.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_begins_with_the_address_of_the_broker() {
        for (reason, expected) in [
            ("ssl://127.0.0.1:9093/bootstrap: SSL handshake failed", Some(("127.0.0.1", 9093))),
            ("kafka.example:9092/7: Disconnected", Some(("kafka.example", 9092))),
            ("sasl_ssl://[::1]:9093/1: SASL", Some(("::1", 9093))),
            ("GroupCoordinator: Disconnected", None),
        ] {
            assert_eq!(address(reason), expected);
        }
    }

    #[test]
    fn the_next_step_follows_from_the_reason() {
        let config = ClientConfig::new();
        for (reason, setting) in [
            ("SASL authentication error: Authentication failed: Invalid username or password", "password"),
            (
                "SASL SCRAM-SHA-1 mechanism handshake failed: Broker: Unsupported SASL mechanism",
                "sasl.mechanism",
            ),
            ("Receive failed: sslv3 alert bad certificate: SSL alert number 42", "ssl.key.location"),
            ("SSL handshake failed: certificate verify failed", "ssl.ca.location"),
            ("something new", "security.protocol"),
        ] {
            let cause = refusal(&config, reason.to_owned());
            assert!(cause.next.contains(setting) && cause.reason == reason, "{cause:?}");
        }
        for (reason, setting) in [
            ("ssl://a: Disconnected: connecting to a PLAINTEXT broker listener?", "TLS port"),
            ("ssl://a: Disconnected: SSL connection closed by peer (after 2ms in state UP)", "sasl.username"),
            (
                "ssl://a: SSL handshake failed: Connection reset by peer (after 0ms in state SSL_HANDSHAKE)",
                "TLS port",
            ),
            ("ssl://a: Receive failed: Connection reset by peer (after 2ms in state UP)", "sasl.username"),
            ("a: Connect to ipv4#127.0.0.1:1 failed: Connection refused", "KAFKA_BROKERS"),
        ] {
            let cause = outage(&config, reason.to_owned());
            assert!(cause.as_ref().is_ok_and(|cause| cause.next.contains(setting)), "{cause:?}");
        }
    }
}
