//! Waits while Kafka is unreachable, and logs it. Errors that waiting can't fix end the program.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::events;
use crate::kafka::{self, KafkaArgs};

/// How long to probe Kafka before the first warning, and between further ones.
const FIRST_WARNING: Duration = Duration::from_secs(1);
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// The timeout of a command that does not wait for Kafka.
const REACH_TIMEOUT: Duration = Duration::from_secs(2);
/// The timeout of one metadata request. A cancelled caller still waits for the request in progress.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(200);
/// How long to poll for events of the client after a request. One event is not enough: with debug lines, hundreds come
/// before the one with an authentication error.
const EVENT_TIMEOUT: Duration = Duration::from_millis(50);
/// The delay before a retry after a refusal, or after an outage during work.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How many refusals in a row are final. A broker that is starting may refuse valid clients.
const MAX_REFUSALS: u32 = 3;

/// Kafka is unreachable or not ready. The operation can be retried later.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// Waits until a broker answers. Cancel-safe.
///
/// # Errors
/// [`crate::exit::Stop::Usage`] for invalid options, and the broker's message if authentication or TLS fails three times in a
/// row. Anything else is retried: brokers that are down, names that can't be resolved.
pub async fn wait_for_kafka(kafka: &KafkaArgs) -> anyhow::Result<()> {
    wait(kafka, None).await
}

/// As [`wait_for_kafka`], for at most `limit`.
///
/// # Errors
/// As [`wait_for_kafka`], and if no broker answers in time.
pub async fn wait_for_kafka_within(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<()> {
    wait(kafka, Some(Instant::now() + limit)).await
}

/// Checks that Kafka is reachable, for a command that does not wait for it. Takes at most 3 seconds.
///
/// # Errors
/// If no broker answers or one refuses this client, with the address and the reason.
pub async fn reach(kafka: &KafkaArgs) -> anyhow::Result<()> {
    match probe(&kafka.client_config(&[])?, REACH_TIMEOUT).await? {
        Probe::Reachable => Ok(()),
        Probe::Unreachable(reason) => Err(unreachable_error(kafka, &reason)),
        Probe::Refused(reason) => bail!("Kafka at {} refuses this client: {reason}", kafka.brokers),
    }
}

fn unreachable_error(kafka: &KafkaArgs, reason: &str) -> anyhow::Error {
    anyhow!("Kafka at {} (KAFKA_BROKERS) is unreachable: {reason}", kafka.brokers)
}

async fn wait(kafka: &KafkaArgs, deadline: Option<Instant>) -> anyhow::Result<()> {
    let config = kafka.client_config(&[])?;
    let (mut timeout, mut refusals, mut waited) = (FIRST_WARNING, 0, false);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match probe(&config, left.map_or(timeout, |left| left.min(timeout))).await? {
            Probe::Reachable => {
                if waited {
                    tracing::info!(
                        event = events::KAFKA_REACHABLE,
                        brokers = kafka.brokers,
                        "Kafka is reachable again"
                    );
                }
                return Ok(());
            }
            Probe::Unreachable(reason) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                return Err(unreachable_error(kafka, &reason));
            }
            Probe::Unreachable(reason) => {
                (timeout, refusals, waited) = (WARNING_INTERVAL, 0, true);
                tracing::warn!(
                    event = events::KAFKA_UNREACHABLE,
                    brokers = kafka.brokers,
                    reason,
                    "Kafka is unreachable, retrying"
                );
            }
            Probe::Refused(reason) => {
                refusals += 1;
                if refusals == MAX_REFUSALS {
                    bail!("Kafka at {} refuses this client: {reason}", kafka.brokers);
                }
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

/// Runs work that needs Kafka, and restarts it after each outage. Cancel-safe if `work` is.
///
/// # Errors
/// As [`wait_for_kafka`], and other errors of the work.
pub async fn retry_while_down<T>(
    kafka: &KafkaArgs,
    mut work: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    loop {
        wait_for_kafka(kafka).await?;
        match work().await {
            Err(error) if is_unreachable(&error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    event = events::KAFKA_NOT_READY,
                    brokers = kafka.brokers,
                    error,
                    "Kafka became unreachable or is not ready, retrying"
                );
                sleep(RETRY_DELAY).await;
            }
            done => return done,
        }
    }
}

/// The errors of Kafka and its client while brokers are unreachable, restart or elect leaders and coordinators.
const TRANSIENT: [RDKafkaErrorCode; 14] = [
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::BrokerNotAvailable,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::CoordinatorLoadInProgress,
    RDKafkaErrorCode::CoordinatorNotAvailable,
    RDKafkaErrorCode::LeaderNotAvailable,
    RDKafkaErrorCode::NetworkException,
    RDKafkaErrorCode::NotController,
    RDKafkaErrorCode::NotCoordinator,
    RDKafkaErrorCode::NotLeaderForPartition,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::RequestTimedOut,
    RDKafkaErrorCode::Resolve,
    RDKafkaErrorCode::WaitingForCoordinator,
];

/// Whether an error means that Kafka is unreachable or not ready, so that a retry may succeed.
#[must_use]
pub fn is_unreachable(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<KafkaError>().and_then(code);
    code.is_some_and(|code| TRANSIENT.contains(&code)) || error.downcast_ref::<Unreachable>().is_some()
}

/// The code of an error, including that of an admin request, which `rdkafka_error_code` omits.
fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// The result of a probe.
enum Probe {
    Reachable,
    Unreachable(String),
    Refused(String),
}

/// Probes the brokers until one answers, one refuses this client, or the timeout ends. Uses a new client each time, because a
/// client reports the same error only every 30 seconds.
async fn probe(config: &ClientConfig, timeout: Duration) -> anyhow::Result<Probe> {
    let (config, stop) = (config.clone(), CancellationToken::new());
    let cancelled = stop.clone();
    let _cancel = stop.drop_guard();
    spawn_blocking(move || probe_blocking(&config, timeout, &cancelled)).await?
}

fn probe_blocking(
    config: &ClientConfig,
    timeout: Duration,
    cancelled: &CancellationToken,
) -> anyhow::Result<Probe> {
    let client: BaseProducer<EventContext> = kafka::create(config, EventContext::default())?;
    let deadline = Instant::now() + timeout;
    loop {
        let Err(error) = client.client().fetch_metadata(None, REQUEST_TIMEOUT) else {
            return Ok(Probe::Reachable);
        };
        client.poll(EVENT_TIMEOUT);
        let events = client.context().events();
        if let Some(reason) = events.refusal {
            return Ok(Probe::Refused(reason));
        }
        if Instant::now() >= deadline || cancelled.is_cancelled() {
            return Ok(Probe::Unreachable(events.error.unwrap_or_else(|| error.to_string())));
        }
    }
}

/// A client context that keeps the last connection errors, so that they can be logged in one line.
#[derive(Default)]
struct EventContext(Mutex<Events>);

#[derive(Clone, Default)]
struct Events {
    error: Option<String>,
    refusal: Option<String>,
}

impl EventContext {
    fn events(&self) -> Events {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for EventContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{AllBrokersDown, Authentication, SSL, SaslAuthenticationFailed};
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.rdkafka_error_code() {
            Some(Authentication | SSL | SaslAuthenticationFailed) => events.refusal = Some(reason.to_owned()),
            // Adds nothing to the errors of the single brokers.
            Some(AllBrokersDown) => {}
            _ => events.error = Some(reason.to_owned()),
        }
    }
}

impl ProducerContext for EventContext {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn transient_errors_are_recognized() {
        let is_transient = |code| {
            let error: Result<(), _> = Err(KafkaError::MetadataFetch(code));
            is_unreachable(&error.context("can't read the cursor").unwrap_err())
        };
        assert!(
            is_transient(RDKafkaErrorCode::BrokerTransportFailure)
                && is_transient(RDKafkaErrorCode::NotController)
        );
        assert!(
            !is_transient(RDKafkaErrorCode::TopicAuthorizationFailed)
                && !is_transient(RDKafkaErrorCode::Authentication)
        );
        assert!(is_unreachable(&anyhow::Error::from(Unreachable("no leader".into())).context("can't start")));
        let admin = |code| {
            is_unreachable(&anyhow::Error::from(KafkaError::AdminOp(code)).context("can't create a topic"))
        };
        assert!(
            admin(RDKafkaErrorCode::OperationTimedOut) && !admin(RDKafkaErrorCode::InvalidReplicationFactor)
        );
    }

    #[test]
    fn a_refusal_is_distinguished_from_an_outage() {
        let context = EventContext::default();
        context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "refused");
        context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(context.events().error.as_deref(), Some("refused"));
        assert!(context.events().refusal.is_none());
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "who are you?");
        assert_eq!(context.events().refusal.as_deref(), Some("who are you?"));
    }
}
