//! A Kafka that is away: waited for, for as long as it takes, and loudly. What waiting can't cure ends it.

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

use crate::kafka::{self, KafkaArgs};

/// How long it is looked for before people are told, at first and then each time.
const FIRST: Duration = Duration::from_secs(1);
const NEXT: Duration = Duration::from_secs(10);
/// How long a command that does not wait looks for it.
const GLANCE: Duration = Duration::from_secs(2);
/// How long one look takes. A caller who stops waiting still waits for the look in progress.
const LOOK: Duration = Duration::from_millis(200);
/// How long the client is listened to after a look. One event would not do: where debug lines are asked for,
/// hundreds come before the one that tells a refusal.
const LISTEN: Duration = Duration::from_millis(50);
/// How long is waited after a refusal or an outage in the midst of work before the next try.
const PAUSE: Duration = Duration::from_secs(1);
/// How many refusals one after the other are believed: a broker that starts may refuse whom it knows.
const BELIEVED: u32 = 3;

/// Kafka does not answer, or is not ready for what is asked of it: to be tried again later.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Away(pub String);

/// Returns when a broker answers. May be dropped before, to give up.
///
/// # Errors
/// [`crate::exit::Stop::Usage`] for options that can't be; what was said when authentication or TLS is
/// refused three times one after the other. Anything else passes by itself: brokers that are down, names
/// that can't be resolved.
pub async fn wait_for_kafka(kafka: &KafkaArgs) -> anyhow::Result<()> {
    wait(kafka, None).await
}

/// As [`wait_for_kafka`], for `limit` at most.
///
/// # Errors
/// As [`wait_for_kafka`], and when no broker has answered by then.
pub async fn wait_for_kafka_within(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<()> {
    wait(kafka, Some(Instant::now() + limit)).await
}

/// Looks for Kafka once, for a command that is of no use without it: it ends within 3 seconds.
///
/// # Errors
/// When no broker answers, or one refuses this client; with the address and the reason.
pub async fn reach(kafka: &KafkaArgs) -> anyhow::Result<()> {
    match look(&kafka.client_config(&[])?, GLANCE).await? {
        Found::There => Ok(()),
        Found::Away(reason) => Err(unreachable(kafka, &reason)),
        Found::Refusal(reason) => bail!("Kafka at {} refuses this client: {reason}", kafka.brokers),
    }
}

fn unreachable(kafka: &KafkaArgs, reason: &str) -> anyhow::Error {
    anyhow!("can't reach Kafka at {} (KAFKA_BROKERS): {reason}", kafka.brokers)
}

async fn wait(kafka: &KafkaArgs, deadline: Option<Instant>) -> anyhow::Result<()> {
    let config = kafka.client_config(&[])?;
    let (mut patience, mut refusals, mut waited) = (FIRST, 0, false);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match look(&config, left.map_or(patience, |left| left.min(patience))).await? {
            Found::There => {
                if waited {
                    tracing::info!(brokers = kafka.brokers, "Kafka answers");
                }
                return Ok(());
            }
            Found::Away(reason) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                return Err(unreachable(kafka, &reason));
            }
            Found::Away(reason) => {
                (patience, refusals, waited) = (NEXT, 0, true);
                tracing::warn!(brokers = kafka.brokers, reason, "Kafka can't be reached; waiting for it");
            }
            Found::Refusal(reason) => {
                refusals += 1;
                if refusals == BELIEVED {
                    bail!("Kafka at {} refuses this client: {reason}", kafka.brokers);
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Does what needs Kafka, from its beginning again after each outage that it meets. May be dropped before
/// its end if `work` may.
///
/// # Errors
/// As [`wait_for_kafka`], and what else goes wrong with the work.
pub async fn outlast<T>(
    kafka: &KafkaArgs,
    mut work: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    loop {
        wait_for_kafka(kafka).await?;
        match work().await {
            Err(error) if is_away(&error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    brokers = kafka.brokers,
                    error,
                    "Kafka went away or is not ready; trying again"
                );
                sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// What Kafka and its client say while brokers are away, come back or elect who does what.
const PASSING: [RDKafkaErrorCode; 14] = [
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

/// Whether an error says that Kafka is away, wholly or in part, and so passes by itself.
#[must_use]
pub fn is_away(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<KafkaError>().and_then(code);
    code.is_some_and(|code| PASSING.contains(&code)) || error.downcast_ref::<Away>().is_some()
}

/// The code of an error; that of an administrator's request is one that `rdkafka_error_code` passes over.
fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// What looking for a broker has found.
enum Found {
    There,
    Away(String),
    Refusal(String),
}

/// Looks for a broker until one answers, one refuses this client, or the time is over. Each time with a
/// client of its own, for a client tells the same trouble once in 30 seconds only.
async fn look(config: &ClientConfig, patience: Duration) -> anyhow::Result<Found> {
    let (config, stop) = (config.clone(), CancellationToken::new());
    let given_up = stop.clone();
    let _give_up = stop.drop_guard();
    spawn_blocking(move || look_blocking(&config, patience, &given_up)).await?
}

fn look_blocking(
    config: &ClientConfig,
    patience: Duration,
    given_up: &CancellationToken,
) -> anyhow::Result<Found> {
    let client: BaseProducer<Listener> = kafka::create(config, Listener::default())?;
    let deadline = Instant::now() + patience;
    loop {
        let Err(error) = client.client().fetch_metadata(None, LOOK) else { return Ok(Found::There) };
        client.poll(LISTEN);
        let heard = client.context().heard();
        if let Some(reason) = heard.refusal {
            return Ok(Found::Refusal(reason));
        }
        if Instant::now() >= deadline || given_up.is_cancelled() {
            return Ok(Found::Away(heard.trouble.unwrap_or_else(|| error.to_string())));
        }
    }
}

/// Keeps what a client says of its connections, for one line of ours.
#[derive(Default)]
struct Listener(Mutex<Heard>);

#[derive(Clone, Default)]
struct Heard {
    trouble: Option<String>,
    refusal: Option<String>,
}

impl Listener {
    fn heard(&self) -> Heard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{AllBrokersDown, Authentication, SSL, SaslAuthenticationFailed};
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.rdkafka_error_code() {
            Some(Authentication | SSL | SaslAuthenticationFailed) => heard.refusal = Some(reason.to_owned()),
            // Says no more than that the others have said it all.
            Some(AllBrokersDown) => {}
            _ => heard.trouble = Some(reason.to_owned()),
        }
    }
}

impl ProducerContext for Listener {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        let told = |code| {
            let error: Result<(), _> = Err(KafkaError::MetadataFetch(code));
            is_away(&error.context("can't read the cursor").unwrap_err())
        };
        assert!(told(RDKafkaErrorCode::BrokerTransportFailure) && told(RDKafkaErrorCode::NotController));
        assert!(!told(RDKafkaErrorCode::TopicAuthorizationFailed) && !told(RDKafkaErrorCode::Authentication));
        assert!(is_away(&anyhow::Error::from(Away("no leader".into())).context("can't begin")));
        let admin =
            |code| is_away(&anyhow::Error::from(KafkaError::AdminOp(code)).context("can't make a topic"));
        assert!(
            admin(RDKafkaErrorCode::OperationTimedOut) && !admin(RDKafkaErrorCode::InvalidReplicationFactor)
        );
    }

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        let listener = Listener::default();
        listener.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "refused");
        listener.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(listener.heard().trouble.as_deref(), Some("refused"));
        assert!(listener.heard().refusal.is_none());
        listener.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "who are you?");
        assert_eq!(listener.heard().refusal.as_deref(), Some("who are you?"));
    }
}
