//! Asks the brokers whether they accept this client.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::{NoSubscriber, with_default};

use super::diagnosis::Diagnosis;
use super::no_access;
use super::request_timeouts::RequestTimeouts;
use super::token;
use crate::kafka;
use crate::tls_alert;

/// How long to poll for events of the client after a request. One event is not enough: with debug lines, hundreds come
/// before the one with an authentication error.
const EVENT_TIMEOUT: Duration = Duration::from_millis(50);

/// How long to poll for the log line about a missing token, which may come after the error.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);

/// The result of a probe.
pub(super) enum Probe {
    Reachable,
    Unreachable(Diagnosis),
    Refused(Diagnosis),
}

/// Probes the brokers until one answers, one refuses this client, or the timeout ends. If nothing is known of the cause yet, it
/// waits `if_silent` longer. Then it may take some seconds to find the cause.
/// Uses a new client each time, because a client reports the same error only every 30 seconds.
///
/// Cancel-safe: nothing waits for the thread of a cancelled probe, which ends after the request in progress.
pub(super) async fn probe(
    config: &ClientConfig,
    timeout: Duration,
    if_silent: Duration,
    requests: RequestTimeouts,
) -> anyhow::Result<Probe> {
    let (config, stop) = (config.clone(), CancellationToken::new());
    let cancelled = stop.clone();
    let _cancel = stop.drop_guard();
    let (sender, result) = oneshot::channel();
    let work = move || {
        // The receiver is dropped if the caller is cancelled.
        let _ = sender.send(probe_blocking(&config, timeout, if_silent, requests, &cancelled));
    };
    thread::Builder::new().name("probe".to_owned()).spawn(work)?;
    result.await?
}

fn probe_blocking(
    config: &ClientConfig,
    timeout: Duration,
    if_silent: Duration,
    requests: RequestTimeouts,
    cancelled: &CancellationToken,
) -> anyhow::Result<Probe> {
    // librdkafka's own initialization of OpenSSL registers a handler that frees OpenSSL's data when the program exits. A discarded
    // client may still use the data then. So OpenSSL is initialized here first.
    openssl::init();
    let client: BaseProducer<EventContext> = kafka::create(config, EventContext::default())?;
    let probed = ask(&client, config, timeout, if_silent, requests, cancelled);
    if token::has_oidc(config) {
        discard(client);
    }
    Ok(probed)
}

/// Drops a client on a thread of its own. A client that waits for the token endpoint can only be dropped after up to 20 seconds.
fn discard(client: BaseProducer<EventContext>) {
    // It logs nothing, because the last line of a program that fails is its error.
    let quietly = move || with_default(NoSubscriber::default(), || drop(client));
    // If no thread can be started, the client is dropped here.
    let _ = thread::Builder::new().name("discarded client".to_owned()).spawn(quietly);
}

fn ask(
    client: &BaseProducer<EventContext>,
    config: &ClientConfig,
    timeout: Duration,
    if_silent: Duration,
    mut requests: RequestTimeouts,
    cancelled: &CancellationToken,
) -> Probe {
    let deadline = Instant::now() + timeout;
    let silent_deadline = deadline + if_silent;
    let mut end = silent_deadline;
    loop {
        let Err(error) = client.client().fetch_metadata(None, requests.next(end)) else {
            return Probe::Reachable;
        };
        poll(client);
        let events = client.context().events();
        if let Some(reason) = events.refusal {
            return Probe::Refused(no_access::refusal(config, reason));
        }
        let reason = events.error.or(events.failure);
        end = if reason.is_some() { deadline } else { silent_deadline };
        let reason = reason.or_else(|| token::silence(config)).unwrap_or_else(|| error.to_string());
        if cancelled.is_cancelled() {
            // Nobody reads the result.
            return Probe::Unreachable(Diagnosis::new(reason, ""));
        }
        if Instant::now() >= end {
            return match no_access::outage(config, reason) {
                Ok(cause) => Probe::Unreachable(cause),
                Err(cause) => Probe::Refused(cause),
            };
        }
    }
}

fn poll(client: &BaseProducer<EventContext>) {
    client.poll(EVENT_TIMEOUT);
    let deadline = Instant::now() + LOG_TIMEOUT;
    while client.context().is_unexplained() && Instant::now() < deadline {
        client.poll(EVENT_TIMEOUT);
    }
}

/// A client context that keeps the last connection errors, so that they can be logged in one line.
#[derive(Default)]
struct EventContext(Mutex<Events>);

#[derive(Clone, Default)]
struct Events {
    error: Option<String>,
    refusal: Option<String>,
    /// The last connection that ended. librdkafka only logs that, because an idle connection may end at any time.
    failure: Option<String>,
    /// The error that there is no token.
    missing_token: Option<String>,
    /// Its log line, which contains more: the URL and the HTTP status. Some errors have none.
    token_log: Option<String>,
}

impl EventContext {
    fn events(&self) -> Events {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(missing) = events.missing_token.take() {
            let reason = events.token_log.take().unwrap_or(missing);
            let is_outage = token::is_outage(&reason);
            *(if is_outage { &mut events.error } else { &mut events.refusal }) = Some(reason);
        }
        events
    }

    fn is_unexplained(&self) -> bool {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.missing_token.is_some() && events.token_log.is_none()
    }
}

impl ClientContext for EventContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka::log_line(level, facility, message);
        let message = &*kafka::without_secrets(message);
        // The name of the thread comes first.
        let text = || Some(message.split_once("]: ").map_or(message, |(_, text)| text).to_owned());
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match facility {
            "FAIL" => events.failure = text(),
            "OIDC" => events.token_log = text(),
            _ => {}
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{AllBrokersDown, Authentication, SSL, SaslAuthenticationFailed};
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.rdkafka_error_code() {
            Some(Authentication) if token::is_missing(reason) => {
                events.missing_token = Some(kafka::without_secrets(reason).into_owned());
            }
            Some(Authentication | SSL | SaslAuthenticationFailed) => events.refusal = Some(reason.to_owned()),
            // With TLS 1.3 it comes after the handshake, as an error of the connection.
            _ if tls_alert::refuses_certificate(reason) => events.refusal = Some(reason.to_owned()),
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
    use std::io::{ErrorKind, Read};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_refusal_is_distinguished_from_an_outage() {
        let context = EventContext::default();
        context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "refused");
        context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(context.events().error.as_deref(), Some("refused"));
        assert!(context.events().refusal.is_none());
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "who are you?");
        assert_eq!(context.events().refusal.as_deref(), Some("who are you?"));
        let alert = "Receive failed: sslv3 alert bad certificate: SSL alert number 42";
        context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), alert);
        assert_eq!(context.events().refusal.as_deref(), Some(alert));
    }

    #[test]
    fn a_missing_token_is_explained_by_its_log_line() {
        let missing = |logged: &str| {
            let context = EventContext::default();
            let error = KafkaError::Global(RDKafkaErrorCode::Authentication);
            context.error(error, "Failed to acquire SASL OAUTHBEARER token: no");
            assert!(context.is_unexplained());
            context.log(RDKafkaLogLevel::Error, "OIDC", &format!("[thrd:background]: {logged}"));
            assert!(!context.is_unexplained());
            let events = context.events();
            (events.error, events.refusal)
        };
        let retrieve = "Failed to retrieve OIDC token from \"https://a\": ";
        let wrong = missing(&format!("{retrieve}{{\"error\":\"invalid_client\"}} (401)"));
        assert_eq!(wrong, (None, Some(format!("{retrieve}invalid_client (401)"))));
        let down = "Failed to retrieve OIDC token from \"https://a\": Connection refused (-1)";
        assert_eq!(missing(down), (Some(down.to_owned()), None));
    }

    #[test]
    fn a_probe_does_not_wait_for_a_silent_token_endpoint() {
        let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", endpoint.local_addr().unwrap());
        let mut config = ClientConfig::new();
        for (name, value) in [
            ("bootstrap.servers", "127.0.0.1:1"),
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.token.endpoint.url", &url),
            ("sasl.oauthbearer.client.id", "me"),
            ("sasl.oauthbearer.client.secret", "hunter2"),
        ] {
            config.set(name, value);
        }
        let cancelled = CancellationToken::new();
        let token = cancelled.clone();
        let hour = Duration::from_secs(3600);
        let probing =
            thread::spawn(move || probe_blocking(&config, hour, hour, RequestTimeouts::default(), &token));
        let (mut request, _) = endpoint.accept().unwrap();
        cancelled.cancel();
        assert!(matches!(probing.join().unwrap(), Ok(Probe::Unreachable(_))));
        // libcurl still waits for the answer: it has not closed its connection.
        request.set_nonblocking(true).unwrap();
        let ended = request.read_to_end(&mut Vec::new());
        assert_eq!(ended.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    }

    #[test]
    fn a_connection_that_ended_is_known_from_the_log() {
        let context = EventContext::default();
        context.log(RDKafkaLogLevel::Info, "FAIL", "[thrd:[::1]:9092/1]: [::1]:9092/1: Disconnected");
        assert_eq!(context.events().failure.as_deref(), Some("[::1]:9092/1: Disconnected"));
    }
}
