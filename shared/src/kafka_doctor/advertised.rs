//! The addresses that brokers advertise.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::metadata::MetadataBroker;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::statistics::Statistics;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::kafka::{self, KafkaArgs, LogContext};

/// How long a connection to an advertised address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait for a first broker to list the others, and for one event of the client.
const LEARN_TIMEOUT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);

/// The address that a broker advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    id: i32,
    host: String,
    port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.id, self.host, self.port)
    }
}

impl Address {
    /// From `host:port`. The host may be an IPv6 address.
    fn parse(id: i32, text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self { id, host: host.to_owned(), port: port.parse().ok()? })
    }

    /// The host and the port.
    pub(super) fn endpoint(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connects to it.
    ///
    /// # Errors
    /// A message, if it does not accept connections.
    pub(super) async fn connect(self) -> Result<(), String> {
        let host = self.host.trim_matches(['[', ']']);
        let reason = match timeout(CONNECT_TIMEOUT, TcpStream::connect((host, self.port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        Err(format!("broker {self}, which it advertises, can't be reached from here: {reason}"))
    }
}

/// The addresses in the brokers' metadata.
///
/// # Errors
/// If Kafka does not answer within `limit`.
pub(super) async fn listed(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<Vec<Address>> {
    let client: BaseConsumer<LogContext> = kafka::create(&kafka.client_config(&[])?, LogContext::default())?;
    let metadata = spawn_blocking(move || client.fetch_metadata(None, limit)).await?;
    let metadata = metadata.context("Kafka does not list its brokers")?;
    let address = |broker: &MetadataBroker| Address {
        id: broker.id(),
        host: broker.host().to_owned(),
        port: u16::try_from(broker.port()).unwrap_or_default(),
    };
    Ok(metadata.brokers().iter().map(address).collect())
}

/// The addresses that a client has learned from the first broker, even if it can reach none of them: librdkafka then closes
/// its connection to the first broker, so it answers no other request. Empty if no broker answers.
///
/// # Errors
/// If librdkafka refuses a setting.
pub(super) async fn learned(kafka: &KafkaArgs) -> anyhow::Result<Vec<Address>> {
    let config = kafka.client_config(&[("statistics.interval.ms", "100")])?;
    let client: BaseProducer<Learning> = kafka::create(&config, Learning::default())?;
    let learn = move || {
        let deadline = Instant::now() + LEARN_TIMEOUT;
        while client.context().addresses().is_empty() && Instant::now() < deadline {
            client.poll(POLL);
        }
        client.context().addresses()
    };
    Ok(spawn_blocking(learn).await?)
}

/// A client context that keeps the learned addresses.
#[derive(Default)]
struct Learning(Mutex<Vec<Address>>);

impl Learning {
    fn addresses(&self) -> Vec<Address> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Learning {
    fn stats(&self, statistics: Statistics) {
        let learned = statistics.brokers.values().filter(|broker| broker.source == "learned");
        let addresses = learned.filter_map(|broker| Address::parse(broker.nodeid, &broker.nodename));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses.collect();
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka::log_line(level, facility, message);
    }

    // The caller has already reported that Kafka is unreachable.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Learning {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let parsed = Address::parse(7, "kafka.example:9092").map(|address| address.to_string());
        assert_eq!(parsed.as_deref(), Some("7 at kafka.example:9092"));
        assert!(Address::parse(7, "[::1]:9092").is_some_and(|address| address.host == "[::1]"));
        assert_eq!([Address::parse(7, "kafka"), Address::parse(7, "kafka:x")], [None, None]);
    }

    #[tokio::test]
    async fn an_address_that_refuses_connections_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(1, &listener.local_addr().unwrap().to_string()).unwrap();
        assert_eq!(address.clone().connect().await, Ok(()));
        drop(listener);
        assert!(address.connect().await.is_err_and(|error| error.contains("which it advertises")));
    }
}
