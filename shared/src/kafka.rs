//! What both programs configure of their Kafka clients, and how client events reach the log.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use secrecy::{ExposeSecret, SecretString};

use crate::exit::Stop;
use crate::fixed;
use crate::topics::Topics;

/// The flags that say where Kafka is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaArgs {
    /// Bootstrap brokers, host:port separated by commas
    #[arg(long, env = "KAFKA_BROKERS", default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    pub brokers: String,

    /// Any librdkafka setting (TLS, SASL …), repeatable; the variable holds one a line or separated by `;`
    #[arg(long = "kafka-option", env = "KAFKA_OPTIONS", hide_env_values = true, value_name = "K=V")]
    pub options: Vec<SecretString>,

    /// What the names of all topics start with
    #[arg(long, env = "CATALOG_TOPIC_PREFIX", default_value = "socrata.", value_parser = topic_prefix)]
    pub topic_prefix: String,
}

fn topic_prefix(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.chars().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("a topic's name holds only a-z A-Z 0-9 . _ -")
    }
}

impl KafkaArgs {
    /// The names of the topics.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::new(&self.topic_prefix)
    }

    /// A client's configuration: the brokers, then `settings`, then what the user asked for, which wins.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an option that isn't `k=v`, without its value, for one of a setting that the programs
    /// rely on, and where no broker is named.
    pub fn client_config(&self, settings: &[(&str, &str)]) -> Result<ClientConfig, Stop> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "catalog-stream");
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        for (name, value) in self.pairs()? {
            if let Some(reason) = fixed::reason(name, value) {
                return Err(Stop::Usage(format!(
                    "--kafka-option (KAFKA_OPTIONS): {name} can't be set, because {reason}"
                )));
            }
            config.set(name, value);
        }
        // A client without one would look for it for ever.
        if config.get("bootstrap.servers").is_none_or(|brokers| brokers.trim().is_empty()) {
            return Err(Stop::Usage("--brokers (KAFKA_BROKERS) is empty".to_owned()));
        }
        // Tells librdkafka how much to hand over; the subscriber decides what is shown.
        let debug = config.get("debug").is_some();
        config.set_log_level(if debug { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
        Ok(config)
    }

    /// Logs what is in effect, at the debug level and without secrets.
    ///
    /// # Errors
    /// As [`KafkaArgs::client_config`].
    pub fn announce(&self) -> Result<(), Stop> {
        let options = self.shown_options()?;
        tracing::debug!(
            brokers = self.brokers,
            topic_prefix = self.topic_prefix,
            options,
            "Kafka's configuration"
        );
        Ok(())
    }

    /// The user's options for people to see: `***` stands for the value of each that may be a secret.
    fn shown_options(&self) -> Result<String, Stop> {
        let shown = self.pairs()?.into_iter().map(|(name, value)| {
            let value = if is_secret(name) { HIDDEN } else { value };
            format!("{}={value}", shown_name(name))
        });
        Ok(shown.collect::<Vec<_>>().join("; "))
    }

    /// What the user asked for, in order.
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

/// A setting's name, unless none of librdkafka's looks like it: then it may be the rest of a password that
/// a `;` has cut in two.
fn shown_name(name: &str) -> &str {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if name.chars().all(legal) { name } else { HIDDEN }
}

/// Whether a setting's value may be a secret, by its name. Misspelled names are hidden like others.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = ["pas", "secret", "key", "jaas", "token", "credential", "oauthbearer.config"];
    let lower = name.to_ascii_lowercase();
    shown_name(name) != name || WORDS.iter().any(|word| lower.contains(word))
}

/// One option a line; a single line may hold several, separated by `;`.
fn split_options(text: &str) -> impl Iterator<Item = &str> {
    let separator = if text.trim().contains('\n') { '\n' } else { ';' };
    text.split(separator).map(str::trim).filter(|option| !option.is_empty())
}

/// Makes a client.
///
/// # Errors
/// [`Stop::Usage`] for a setting that librdkafka refuses. Its own message may quote the value, which may
/// be a secret, so only the setting's name is told.
pub fn create<C: ClientContext, T: FromClientConfigAndContext<C>>(
    config: &ClientConfig,
    context: C,
) -> anyhow::Result<T> {
    T::from_config_and_context(config, context).map_err(|error| match error {
        KafkaError::ClientConfig(_, _, name, _) => {
            let name = shown_name(&name);
            Stop::Usage(format!("--kafka-option (KAFKA_OPTIONS): librdkafka refuses the setting {name:?}"))
                .into()
        }
        other => anyhow::Error::from(other).context("can't make a Kafka client"),
    })
}

/// How often the same trouble with a broker is logged again.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// A client context that sends librdkafka's own lines to the debug level, and its errors to the warn
/// level: each code at most once in ten seconds, for in an outage they come by the dozen.
#[derive(Default)]
pub struct LogContext {
    logged: Mutex<HashMap<i32, Instant>>,
}

impl LogContext {
    fn is_news(&self, code: i32) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let news = logged.get(&code).is_none_or(|last| now.duration_since(*last) >= REPEAT_AFTER);
        if news {
            logged.insert(code, now);
        }
        news
    }
}

impl fmt::Debug for LogContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogContext")
    }
}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is an event of ours and not an error.
        let Some(code) = error.rdkafka_error_code() else { return };
        if code != RDKafkaErrorCode::PartitionEOF && self.is_news(code as i32) {
            tracing::warn!(%error, reason, "trouble with Kafka");
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
    fn options_come_one_a_line_or_separated_by_semicolons() {
        for text in ["a=1;b=x=y", "a=1\nb=x=y\n"] {
            let config = args(&[text]).client_config(&[]).unwrap();
            assert_eq!((config.get("a"), config.get("b")), (Some("1"), Some("x=y")));
        }
        let config = args(&["sasl.password=p;q\nb=2"]).client_config(&[("b", "1")]).unwrap();
        assert_eq!((config.get("sasl.password"), config.get("b")), (Some("p;q"), Some("2")));
    }

    #[test]
    fn brokers_are_to_be_named() {
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
    fn half_a_password_is_not_shown_as_a_name() {
        let args = args(&["sasl.password=left;Hunter2=="]);
        assert_eq!(args.shown_options().unwrap(), "sasl.password=***; ***=***");
        let made =
            create::<_, BaseConsumer<LogContext>>(&args.client_config(&[]).unwrap(), LogContext::default());
        let error = format!("{:#}", made.err().unwrap());
        assert!(error.contains("refuses the setting") && !error.contains("Hunter2"), "{error}");
    }

    #[test]
    fn who_asks_librdkafka_for_debug_lines_gets_them() {
        let level = |options: &[&str]| args(options).client_config(&[]).unwrap().log_level;
        assert_eq!(level(&["debug=broker"]) as i32, RDKafkaLogLevel::Debug as i32);
        assert_eq!(level(&[]) as i32, RDKafkaLogLevel::Info as i32);
    }

    #[test]
    fn a_refused_setting_is_named_without_its_value() {
        for option in ["sasl.pasword=hunter2", "security.protocol=hunter2"] {
            let config = args(&[option]).client_config(&[("group.id", "x")]).unwrap();
            let made = create::<_, BaseConsumer<LogContext>>(&config, LogContext::default());
            let error = format!("{:?}", made.err().unwrap());
            let name = option.split('=').next().unwrap();
            assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_topic_prefix_holds_only_what_topic_names_may() {
        assert!(topic_prefix("demo.v1-").is_ok());
        assert!(topic_prefix("demo/").is_err());
    }
}
