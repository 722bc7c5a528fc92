//! Why there is no token for OAUTHBEARER, and whether the brokers accept it.

use rdkafka::config::ClientConfig;

use crate::kafka::token_answer::{MISSING, NOT_SENT};

/// The statuses with which an endpoint refuses a client (RFC 6749, section 5.2, and gateways). Any other is temporary, because an
/// ingress answers with 404 or a page of its own while the identity provider is redeployed.
const REFUSALS: [i32; 3] = [400, 401, 403];

const UNREACHABLE: &str = "check sasl.oauthbearer.token.endpoint.url in --kafka-option (KAFKA_OPTIONS), and that this host can reach \
                           it";
const UNAVAILABLE: &str = "check sasl.oauthbearer.token.endpoint.url in --kafka-option (KAFKA_OPTIONS), and that the identity provider \
                           runs";
const SILENT: &str = "check --brokers (KAFKA_BROKERS) and sasl.oauthbearer.token.endpoint.url in --kafka-option (KAFKA_OPTIONS), and \
                      that this host can reach both";

/// The next steps, by a part of librdkafka's text.
const STEPS: [(&str, &str); 6] = [
    (
        "certificate subject name",
        "name the host in sasl.oauthbearer.token.endpoint.url of --kafka-option (KAFKA_OPTIONS) as its certificate does",
    ),
    (
        "certificate",
        "set https.ca.location in --kafka-option (KAFKA_OPTIONS) to the certificate of the CA that has signed the token \
         endpoint's",
    ),
    ("unexpired token", "correct the clock of this host, or the lifetime of tokens at the token endpoint"),
    ("OAUTHBEARER extension", "correct sasl.oauthbearer.extensions in --kafka-option (KAFKA_OPTIONS)"),
    (
        NOT_SENT,
        "correct sasl.oauthbearer.client.id, sasl.oauthbearer.client.secret, sasl.oauthbearer.scope and \
         sasl.oauthbearer.token.endpoint.url in --kafka-option (KAFKA_OPTIONS)",
    ),
    (
        MISSING,
        "check that sasl.oauthbearer.token.endpoint.url in --kafka-option (KAFKA_OPTIONS) answers with a JWT that has `exp` and \
         `sub`",
    ),
];

/// Whether an error means that there is no token.
pub(super) fn is_missing(reason: &str) -> bool {
    reason.starts_with(MISSING)
}

/// Whether the token endpoint is down or does not work, so that a retry may succeed. An invalid certificate is not an outage.
pub(super) fn is_outage(reason: &str) -> bool {
    let is_refusal = match status(reason) {
        Some(-1) => reason.contains("certificate"),
        Some(status) => REFUSALS.contains(&status),
        // The log message was too short for the answer. Refusals are short, pages of gateways may be long.
        None => false,
    };
    reason.starts_with(NOT_SENT) && !is_refusal
}

/// What to do if the token endpoint sends no token, or if the brokers do not accept it. `None` for other reasons.
pub(super) fn next_step(config: &ClientConfig, reason: &str) -> Option<&'static str> {
    if reason == SILENCE {
        return Some(SILENT);
    }
    if is_outage(reason) {
        return Some(if status(reason) == Some(-1) { UNREACHABLE } else { UNAVAILABLE });
    }
    if is_missing(reason) || reason.starts_with(NOT_SENT) {
        return STEPS.iter().find(|(part, _)| reason.contains(part)).map(|(_, next)| *next);
    }
    let is_refused = has_oidc(config) && reason.contains("SASL authentication error");
    is_refused.then_some(
        "the brokers do not accept the token: compare its issuer, audience and key with sasl.oauthbearer.expected.issuer, \
         .expected.audience and .jwks.endpoint.url of the brokers, and set sasl.oauthbearer.scope in --kafka-option \
         (KAFKA_OPTIONS) to one for these brokers; the reason is in their log",
    )
}

/// The reason if a client with OIDC has reported nothing: it waits for its token, or for a broker whose port a firewall blocks.
/// librdkafka retries for 50 seconds before it reports a busy endpoint, and waits 20 seconds for an answer.
pub(super) fn silence(config: &ClientConfig) -> Option<String> {
    has_oidc(config).then(|| SILENCE.to_owned())
}

const SILENCE: &str = "no answer yet, neither from the token endpoint nor from a broker";

pub(super) fn has_oidc(config: &ClientConfig) -> bool {
    config.get("sasl.oauthbearer.method").is_some_and(|method| method.eq_ignore_ascii_case("oidc"))
}

/// The number in parentheses at the end.
fn status(reason: &str) -> Option<i32> {
    reason.trim_end().strip_suffix(')')?.rsplit_once('(')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_sent(rest: &str) -> String {
        format!("{NOT_SENT}https://login.example/token\": {rest}")
    }

    #[test]
    fn only_a_refusal_of_the_endpoint_is_no_outage() {
        for (rest, expected) in [
            ("Failed to connect to login.example port 443: Connection refused (-1)", true),
            ("Could not resolve host: login.example (-1)", true),
            ("try later (503)", true),
            ("{\"error\":\"invalid_client\"} (401)", false),
            ("not shown (404)", true),
            ("Response is not JSON encoded: text/html (200)", true),
            ("cut off", true),
            ("{\"error\":\"invalid_scope\"} (400)", false),
            ("Forbidden (403)", false),
            ("SSL certificate problem: unable to get local issuer certificate (-1)", false),
        ] {
            assert_eq!(is_outage(&not_sent(rest)), expected, "{rest}");
        }
        assert!(!is_outage("kafka:9092/1: Disconnected (-1)"));
    }

    #[test]
    fn the_next_step_follows_from_the_reason() {
        let mut config = ClientConfig::new();
        config.set("sasl.oauthbearer.method", "oidc");
        for (reason, setting) in [
            (not_sent("Connection refused (-1)"), "can reach it"),
            (not_sent("not shown (404)"), "token.endpoint.url"),
            (not_sent("{\"error\":\"invalid_client\"} (401)"), "client.secret"),
            (
                not_sent("SSL certificate problem: unable to get local issuer certificate (-1)"),
                "https.ca.location",
            ),
            (
                not_sent("SSL: no alternative certificate subject name matches target host name (-1)"),
                "as its certificate",
            ),
            (format!("{MISSING}Must supply an unexpired token: now=2ms, exp=1ms"), "clock"),
            (format!("{MISSING}Expected JSON JWT response with \"sub\" field"), "`sub`"),
            ("SASL authentication error: {\"status\":\"invalid_token\"}".to_owned(), "expected.audience"),
            (silence(&config).unwrap(), "token.endpoint.url"),
            (silence(&config).unwrap(), "KAFKA_BROKERS"),
        ] {
            let next = next_step(&config, &reason).unwrap_or_default();
            assert!(next.contains(setting), "{reason}: {next}");
        }
    }

    #[test]
    fn other_logins_have_other_next_steps() {
        let config = ClientConfig::new();
        assert_eq!(next_step(&config, "SASL authentication error: Authentication failed"), None);
        assert_eq!(silence(&config), None);
    }
}
