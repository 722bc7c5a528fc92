//! The configuration of Kafka clients, and the logging of their events.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use secrecy::{ExposeSecret, SecretString};

use crate::events;
use crate::exit::Stop;
use crate::reserved_options;
use crate::topics::Topics;

mod client;
mod oauth;
mod reader_config;
pub(crate) mod token_answer;

pub use client::create;
pub(crate) use token_answer::without_secrets;

/// The flags for Kafka.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Bootstrap brokers, host:port separated by commas
    #[arg(long, env = "KAFKA_BROKERS", default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    pub brokers: String,

    /// Any librdkafka setting (TLS, SASL …), repeatable; in the variable one per line or separated by `;`
    #[arg(long = "kafka-option", env = "KAFKA_OPTIONS", hide_env_values = true, value_name = "K=V")]
    pub options: Vec<SecretString>,

    /// Prefix of all topic names
    #[arg(long, env = "CATALOG_TOPIC_PREFIX", default_value = "socrata.", value_parser = topic_prefix)]
    pub topic_prefix: String,
}

fn topic_prefix(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.chars().all(legal) { Ok(text.to_owned()) } else { Err("expected only a-z A-Z 0-9 . _ -") }
}

impl KafkaArgs {
    /// The names of the topics.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::new(&self.topic_prefix)
    }

    /// A client configuration: the brokers, then `settings`, then the user's options, which take precedence.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an option that isn't `k=v` (without its value), for a setting that can't be overridden, for settings
    /// of OAUTHBEARER that contradict each other, and without brokers.
    pub fn client_config(&self, settings: &[(&str, &str)]) -> Result<ClientConfig, Stop> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "catalog-stream");
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        for (name, value) in self.pairs()? {
            if let Some(reason) = reserved_options::refusal(name, value) {
                return Err(Stop::Usage(format!(
                    "--kafka-option (KAFKA_OPTIONS): {name} can't be set, because {reason}"
                )));
            }
            config.set(name, value);
        }
        // A client without brokers would wait forever.
        if config.get("bootstrap.servers").is_none_or(|brokers| brokers.trim().is_empty()) {
            return Err(Stop::Usage("--brokers (KAFKA_BROKERS) is empty".to_owned()));
        }
        if let Some(fault) = oauth::fault(&config) {
            return Err(Stop::Usage(format!("--kafka-option (KAFKA_OPTIONS): {fault}")));
        }
        // The log level of librdkafka. The subscriber filters again.
        let debug = config.get("debug").is_some();
        config.set_log_level(if debug { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        Ok(config)
    }

    /// Logs the configuration at debug level, without secrets.
    ///
    /// # Errors
    /// Same as [`KafkaArgs::client_config`].
    pub fn log_config(&self) -> Result<(), Stop> {
        let options = self.shown_options()?;
        tracing::debug!(
            event = events::KAFKA_CONFIGURED,
            brokers = self.brokers,
            topic_prefix = self.topic_prefix,
            options,
            "Kafka configuration"
        );
        Ok(())
    }

    /// The user's options, with `***` in place of possible secrets.
    ///
    /// # Errors
    /// Same as [`KafkaArgs::client_config`].
    pub fn shown_options(&self) -> Result<String, Stop> {
        let shown = self.pairs()?.into_iter().map(|(name, value)| {
            let value = if is_secret(name) { HIDDEN } else { value };
            format!("{}={value}", shown_name(name))
        });
        Ok(shown.collect::<Vec<_>>().join("; "))
    }

    /// The user's options in order.
    fn pairs(&self) -> Result<Vec<(&str, &str)>, Stop> {
        let options = self.options.iter().flat_map(|text| split_options(text.expose_secret()));
        let pairs = options.map(|option| {
            let (name, value) = option.split_once('=')?;
            Some((name.trim(), value.trim()))
        });
        pairs.collect::<Option<_>>().ok_or_else(|| {
            Stop::Usage("--kafka-option (KAFKA_OPTIONS) takes k=v: an option has no `=`".to_owned())
        })
    }
}

const HIDDEN: &str = "***";

/// The name of a setting. If it doesn't look like one of librdkafka, it is hidden, because it may be the rest of a password
/// that was split at a `;`.
fn shown_name(name: &str) -> &str {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if name.chars().all(legal) { name } else { HIDDEN }
}

/// Whether the value of a setting may be a secret, by its name. This includes misspelled names.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = ["pas", "secret", "key", "jaas", "token", "credential", "oauthbearer.config"];
    let lower = name.to_ascii_lowercase();
    shown_name(name) != name || WORDS.iter().any(|word| lower.contains(word))
}

/// One option per line, or a single line with options separated by `;`.
fn split_options(text: &str) -> impl Iterator<Item = &str> {
    let separator = if text.trim().contains('\n') { '\n' } else { ';' };
    text.split(separator).map(str::trim).filter(|option| !option.is_empty())
}

/// How often the same error is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A client context that logs the lines of librdkafka at debug level and its errors as warnings: each code at most once in
/// ten seconds, because an outage causes many.
#[derive(Default)]
pub struct LogContext {
    logged: Mutex<HashMap<i32, Instant>>,
}

impl LogContext {
    fn is_due(&self, code: i32) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = logged.get(&code).is_none_or(|last| now.duration_since(*last) >= LOG_INTERVAL);
        if is_due {
            logged.insert(code, now);
        }
        is_due
    }
}

impl fmt::Debug for LogContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogContext")
    }
}

/// Logs a line of librdkafka at debug level.
pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let message = &*without_secrets(message);
    tracing::debug!(?level, facility, message, "librdkafka");
}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is an expected event and not an error.
        let Some(code) = error.rdkafka_error_code() else { return };
        if code != RDKafkaErrorCode::PartitionEOF && self.is_due(code as i32) {
            let reason = &*without_secrets(reason);
            tracing::warn!(event = events::KAFKA_CLIENT_ERROR, %error, reason, "Kafka client error");
        }
    }
}

impl ConsumerContext for LogContext {}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    fn args(options: &[&str]) -> KafkaArgs {
        KafkaArgs {
            brokers: "127.0.0.1:9092".into(),
            options: options.iter().map(|text| SecretString::from(*text)).collect(),
            topic_prefix: "socrata.".into(),
        }
    }

    #[test]
    fn options_are_separated_by_lines_or_semicolons() {
        for text in ["a=1;b=x=y", "a=1\nb=x=y\n"] {
            let config = args(&[text]).client_config(&[]).unwrap();
            assert_eq!((config.get("a"), config.get("b")), (Some("1"), Some("x=y")));
        }
        let config = args(&["sasl.password=p;q\nb=2"]).client_config(&[("b", "1")]).unwrap();
        assert_eq!((config.get("sasl.password"), config.get("b")), (Some("p;q"), Some("2")));
    }

    #[test]
    fn brokers_are_mandatory() {
        let unnamed = KafkaArgs { brokers: " ".into(), ..args(&[]) };
        assert!(matches!(unnamed.client_config(&[]), Err(Stop::Usage(_))));
    }

    #[test]
    fn a_broken_option_and_debug_output_keep_the_secret() {
        let broken = args(&["sasl.password hunter2"]);
        assert!(!broken.client_config(&[]).unwrap_err().to_string().contains("hunter2"));
        assert!(!format!("{broken:?}").contains("hunter2"));
    }

    #[test]
    fn the_configuration_is_shown_without_secrets() {
        let args = args(&[
            "security.protocol=ssl\nSSL.Key.Pem=hunter2\nsasl.pasword=hunter2\nsasl.passwd=hunter2",
            "sasl.jaas.config=hunter2",
            "x.token.y=hunter2;client.secret=hunter2",
            "client.id=me",
        ]);
        let shown = args.shown_options().unwrap();
        assert!(!shown.contains("hunter2") && shown.matches("=***").count() == 6, "{shown}");
        assert!(shown.starts_with("security.protocol=ssl; ") && shown.ends_with("; client.id=me"), "{shown}");
    }

    #[test]
    fn a_part_of_a_password_is_not_shown_as_a_name() {
        let args = args(&["sasl.password=left;Hunter2=="]);
        assert_eq!(args.shown_options().unwrap(), "sasl.password=***; ***=***");
        let client =
            create::<_, BaseConsumer<LogContext>>(&args.client_config(&[]).unwrap(), LogContext::default());
        let error = format!("{:#}", client.err().unwrap());
        assert!(error.contains("refuses the setting") && !error.contains("Hunter2"), "{error}");
    }

    #[test]
    fn debug_lines_of_librdkafka_can_be_enabled() {
        let level = |options: &[&str]| args(options).client_config(&[]).unwrap().log_level;
        assert_eq!(level(&["debug=broker"]) as i32, RDKafkaLogLevel::Debug as i32);
        assert_eq!(level(&[]) as i32, RDKafkaLogLevel::Info as i32);
    }

    #[test]
    fn a_topic_prefix_has_only_valid_characters() {
        assert!(topic_prefix("demo.v1-").is_ok());
        assert!(topic_prefix("demo/").is_err());
    }
}
