//! Waits while Kafka is unreachable, and logs it. Errors that waiting can't fix end the program.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;
use tokio::time::sleep;

use crate::events;
use crate::kafka::KafkaArgs;
use crate::rights::code;

mod diagnosis;
mod no_access;
mod probe;
mod request_timeouts;
mod tls;
mod token;

use diagnosis::Diagnosis;
pub use no_access::NoAccess;
use probe::{Probe, probe};
use request_timeouts::RequestTimeouts;

/// How long to probe Kafka before the first warning, and between further ones.
const FIRST_WARNING: Duration = Duration::from_secs(1);
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// The timeout of a command that does not wait for Kafka.
const REACH_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer it waits if nothing is known of the cause, because a slow broker may still refuse the client.
const REACH_SILENCE: Duration = Duration::from_secs(8);
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
/// [`crate::exit::Stop::Usage`] for invalid options, and [`NoAccess`] if authentication or TLS fails three times in a row.
/// Anything else is retried: brokers that are down, names that can't be resolved.
pub async fn wait_for_kafka(kafka: &KafkaArgs) -> anyhow::Result<()> {
    wait(kafka, None).await
}

/// Checks that Kafka is reachable, for a command that does not wait for it. Takes some 2 seconds if the brokers are down, and some
/// 10 if they don't answer at all.
///
/// # Errors
/// [`NoAccess`] if no broker answers or one refuses this client.
pub async fn reach(kafka: &KafkaArgs) -> anyhow::Result<()> {
    reach_within(kafka, REACH_TIMEOUT + REACH_SILENCE).await
}

/// Like [`reach`], but waits no longer than `limit` for brokers that don't answer at all.
///
/// # Errors
/// Same as [`reach`].
pub async fn reach_within(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<()> {
    let timeout = limit.min(REACH_TIMEOUT);
    let (silence, requests) = (limit.saturating_sub(timeout), RequestTimeouts::default());
    match probe(&kafka.client_config(&[])?, timeout, silence, requests).await? {
        Probe::Reachable => Ok(()),
        Probe::Unreachable(cause) => Err(unreachable_error(kafka, cause).into()),
        Probe::Refused(cause) => Err(refused_error(kafka, cause).into()),
    }
}

fn unreachable_error(kafka: &KafkaArgs, Diagnosis { reason, next }: Diagnosis) -> NoAccess {
    NoAccess {
        found: format!("Kafka at {} (KAFKA_BROKERS) is unreachable: {reason}", kafka.brokers),
        next,
        is_refusal: false,
    }
}

fn refused_error(kafka: &KafkaArgs, Diagnosis { reason, next }: Diagnosis) -> NoAccess {
    NoAccess {
        found: format!("Kafka at {} refuses this client: {reason}", kafka.brokers),
        next,
        is_refusal: true,
    }
}

async fn wait(kafka: &KafkaArgs, deadline: Option<Instant>) -> anyhow::Result<()> {
    let config = kafka.client_config(&[])?;
    let (mut timeout, mut refusals, mut waited) = (FIRST_WARNING, 0, false);
    let mut requests = RequestTimeouts::default();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout_now = left.map_or(timeout, |left| left.min(timeout));
        match probe(&config, timeout_now, Duration::ZERO, requests).await? {
            Probe::Reachable => {
                if waited {
                    let brokers = &kafka.brokers;
                    tracing::info!(event = events::KAFKA_REACHABLE, brokers, "Kafka is reachable again");
                }
                return Ok(());
            }
            Probe::Unreachable(cause) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                return Err(unreachable_error(kafka, cause).into());
            }
            Probe::Unreachable(cause) => {
                (timeout, refusals, waited) = (WARNING_INTERVAL, 0, true);
                requests = requests.of_next_probe();
                warn_unreachable(kafka, cause);
            }
            Probe::Refused(cause) => {
                refusals += 1;
                if refusals == MAX_REFUSALS {
                    return Err(refused_error(kafka, cause).into());
                }
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

fn warn_unreachable(kafka: &KafkaArgs, Diagnosis { reason, next }: Diagnosis) {
    let brokers = &kafka.brokers;
    tracing::warn!(
        event = events::KAFKA_UNREACHABLE,
        brokers,
        reason,
        next,
        "Kafka is unreachable, retrying"
    );
}

/// Runs work that needs Kafka, and restarts it after each outage. Cancel-safe if `work` is.
///
/// # Errors
/// Same as [`wait_for_kafka`], and other errors of the work.
pub async fn retry_while_down<T>(
    kafka: &KafkaArgs,
    work: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    retry_while_down_within(kafka, None, work).await
}

/// Like [`retry_while_down`], but no longer than `limit`, if there is one. Work that has begun is not interrupted.
///
/// # Errors
/// Same as [`retry_while_down`], and the last error of an outage that is longer.
pub async fn retry_while_down_within<T>(
    kafka: &KafkaArgs,
    limit: Option<Duration>,
    mut work: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // A limit that the clock can't represent is none.
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        wait(kafka, deadline).await?;
        match work().await {
            Err(error) if is_unreachable(&error) && deadline.is_none_or(|end| Instant::now() < end) => {
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
    error.downcast_ref().is_some_and(is_transient) || error.downcast_ref::<Unreachable>().is_some()
}

/// Same as [`is_unreachable`], for an error of the client.
#[must_use]
pub fn is_transient(error: &KafkaError) -> bool {
    code(error).is_some_and(|code| TRANSIENT.contains(&code))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;

    use super::*;

    #[tokio::test]
    async fn a_broker_that_answers_slowly_is_reached() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.broker_round_trip_time(-1, Duration::from_millis(700)).unwrap();
        let (brokers, topic_prefix) = (cluster.bootstrap_servers(), String::new());
        let kafka = KafkaArgs { brokers, options: Vec::new(), topic_prefix };
        retry_while_down_within(&kafka, Some(Duration::from_secs(60)), async || Ok(())).await.unwrap();
        reach(&kafka).await.unwrap();
    }

    #[tokio::test]
    async fn a_kafka_that_is_never_ready_is_retried_until_the_limit() {
        let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        let (brokers, topic_prefix) = (cluster.bootstrap_servers(), String::new());
        let kafka = KafkaArgs { brokers, options: Vec::new(), topic_prefix };
        let mut tries = 0;
        let never_ready = async || {
            tries += 1;
            Err::<(), _>(Unreachable("no leader".to_owned()).into())
        };
        let ended = retry_while_down_within(&kafka, Some(Duration::from_secs(2)), never_ready).await;
        assert_eq!(ended.unwrap_err().to_string(), "no leader");
        assert!(tries > 1);
    }

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
}
