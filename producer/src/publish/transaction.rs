//! Kafka transactions: the records of one or more pages and the cursor are committed together or not at all. The claim calls
//! [`Transactions::publish`] for each attempt.

use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::kafka::{self, KafkaArgs};
use catalog_shared::topic_setup::MESSAGE_BYTES_TEXT;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::Producer;
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};
use tokio::task::spawn_blocking;

use crate::model::outgoing::Outgoing;
use crate::publish::commit::commit;
use crate::publish::delivery::{Undelivered, await_all, is_queue_full};
use crate::publish::failure::TransactionError;
use crate::publish::late_ends::{EndTxnContext, LateEnds};
use crate::publish::leaders;

type Client = FutureProducer<EndTxnContext>;

/// The timeout of one commit or abort call, which is then repeated.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of `init_transactions`.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A transactional producer. Opening one fences all others with the same id.
pub(crate) struct Transactions {
    client: Client,
    kafka: KafkaArgs,
    call_timeout: Duration,
    late_ends: LateEnds,
}

impl Transactions {
    pub(crate) async fn open(kafka: &KafkaArgs, id: &str) -> anyhow::Result<Self> {
        let mut config = kafka.client_config(&[
            ("transactional.id", id),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // Long enough for a broker restart without an error.
            ("transaction.timeout.ms", "60000"),
            // All records of a transaction are sent, then all are awaited, so lingering gains nothing.
            ("linger.ms", "0"),
            ("compression.codec", "lz4"),
            // The limit of our topics.
            ("message.max.bytes", MESSAGE_BYTES_TEXT),
            ("allow.auto.create.topics", "false"),
        ])?;
        let context = EndTxnContext::new(&mut config);
        let late_ends = context.ends();
        let client: Client = kafka::create(&config, context)?;
        let starting = client.clone();
        spawn_blocking(move || starting.init_transactions(INIT_TIMEOUT)).await??;
        Ok(Self { client, kafka: kafka.clone(), call_timeout: CALL_TIMEOUT, late_ends })
    }

    /// Whether an `EndTxn` request may still be in flight. Then the next transaction needs a new instance.
    pub(crate) fn may_end_late(&self) -> bool {
        self.late_ends.any()
    }

    /// Publishes records in one transaction.
    pub(crate) async fn publish(&self, records: &[Outgoing]) -> Result<(), TransactionError> {
        self.client.begin_transaction().map_err(|error| TransactionError::Fatal(error.to_string()))?;
        match self.deliver(records).await {
            Ok(()) => {
                tracing::debug!(
                    event = events::RECORDS_DELIVERED,
                    records = records.len(),
                    "records delivered"
                );
                self.commit().await
            }
            Err(Undelivered { key, error }) => {
                let to_error = match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::MessageSizeTooLarge) => TransactionError::Refused,
                    // Checked before the abort, which may take as long as an outage.
                    Some(RDKafkaErrorCode::MessageTimedOut)
                        if leaders::are_up(&self.kafka, records).await =>
                    {
                        TransactionError::Slow
                    }
                    Some(RDKafkaErrorCode::MessageTimedOut) => TransactionError::Unreachable,
                    _ => TransactionError::Aborted,
                };
                let bytes: usize = records.iter().map(|record| record.value.len()).sum();
                let cause = format!("{} records of {bytes} bytes; {key}: {error}", records.len());
                Err(self.abort(cause, to_error).await)
            }
        }
    }

    /// Sends all records and awaits them, so that the commit has nothing left to flush.
    async fn deliver(&self, records: &[Outgoing]) -> Result<(), Undelivered> {
        let mut pending = Vec::with_capacity(records.len());
        for record in records {
            let mut sent = self.send(record);
            if sent.as_ref().is_err_and(is_queue_full) {
                await_all(pending.drain(..)).await?;
                sent = self.send(record);
            }
            let delivery = sent.map_err(|error| Undelivered { key: record.key.clone(), error })?;
            pending.push((record, delivery));
        }
        await_all(pending).await
    }

    fn send(&self, record: &Outgoing) -> Result<DeliveryFuture, KafkaError> {
        let message = FutureRecord::to(&record.topic)
            .partition(record.partition)
            .key(&record.key)
            .payload(record.value.as_ref())
            .headers(OwnedHeaders::clone(&record.headers));
        self.client.send_result(message).map_err(|(error, _)| error)
    }

    async fn commit(&self) -> Result<(), TransactionError> {
        let start = Instant::now();
        loop {
            let (client, timeout) = (self.client.clone(), self.call_timeout);
            let answer = spawn_blocking(move || commit(&client, timeout)).await;
            self.late_ends.record(start);
            match answer.map_err(|error| TransactionError::Fatal(error.to_string()))? {
                Ok(()) => return Ok(()),
                // A commit that timed out is continued by calling it again, never by an abort.
                Err(error) if error.retriable => {
                    tracing::warn!(event = events::COMMIT_RETRIED, %error, "commit timed out, retrying")
                }
                Err(error) if error.requires_abort => {
                    return Err(self.abort(error.to_string(), TransactionError::Aborted).await);
                }
                Err(error) => return Err(TransactionError::Fatal(error.to_string())),
            }
        }
    }

    /// Aborts. Returns the error that `to_error` makes of the cause.
    async fn abort(&self, cause: String, to_error: fn(String) -> TransactionError) -> TransactionError {
        let start = Instant::now();
        loop {
            if let Some((code, reason)) = self.client.client().fatal_error() {
                return TransactionError::Fatal(format!("{code}: {reason}"));
            }
            let (client, timeout) = (self.client.clone(), self.call_timeout);
            let answer = spawn_blocking(move || client.abort_transaction(timeout)).await;
            self.late_ends.record(start);
            match answer {
                Ok(Ok(())) => return to_error(cause),
                Ok(Err(KafkaError::Transaction(error))) if error.is_retriable() => {
                    tracing::warn!(event = events::ABORT_RETRIED, %error, "abort timed out, retrying");
                }
                Ok(Err(error)) => return TransactionError::Fatal(error.to_string()),
                Err(error) => return TransactionError::Fatal(error.to_string()),
            }
        }
    }
}

/// Transactions with broker errors, on librdkafka's mock cluster. It supports neither isolation nor fencing, so what
/// consumers see of a transaction is tested on a real broker.
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use rdkafka::mocking::{MockCluster, MockCoordinator};
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Answer};

    use super::*;

    type Cluster = MockCluster<'static, DefaultProducerContext>;

    const TOPIC: &str = "datasets";

    async fn opened() -> (Cluster, Transactions) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaArgs { brokers, options: Vec::new(), topic_prefix: String::new() };
        let transactions = Transactions::open(&kafka, "producer.us").await.unwrap();
        (cluster, transactions)
    }

    /// Publishes a record while requests of one type get these answers, then another one without errors.
    async fn answered(
        key: RDKafkaApiKey,
        answers: &[Answer],
    ) -> (Result<(), TransactionError>, Result<(), TransactionError>) {
        let (cluster, transactions) = opened().await;
        cluster.request_errors(key, answers);
        let disturbed = transactions.publish(&[record()]).await;
        cluster.clear_request_errors(key);
        (disturbed, publish_with_retries(&transactions).await)
    }

    /// Publishes a record and retries while it is aborted, as the claim does. What librdkafka still purges of the previous
    /// transaction may include the first records of the next one.
    async fn publish_with_retries(transactions: &Transactions) -> Result<(), TransactionError> {
        let mut published = transactions.publish(&[record()]).await;
        for _ in 0..5 {
            if let Err(TransactionError::Aborted(_)) = published {
                published = transactions.publish(&[record()]).await;
            }
        }
        published
    }

    fn record() -> Outgoing {
        Outgoing {
            topic: TOPIC.into(),
            partition: 0,
            key: "us/data.example/aaaa-2222".into(),
            value: Bytes::from_static(b"{}"),
            headers: Arc::default(),
        }
    }

    #[tokio::test]
    async fn a_commit_survives_a_moving_coordinator_and_a_lost_answer() {
        let unavailable = Answer::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
        let cut = Answer::RD_KAFKA_RESP_ERR__TRANSPORT;
        for answers in [&[unavailable, unavailable][..], &[cut]] {
            let (disturbed, next) = answered(RDKafkaApiKey::EndTxn, answers).await;
            assert!(disturbed.is_ok() && next.is_ok(), "{disturbed:?} {next:?}");
        }
    }

    #[tokio::test]
    async fn a_commit_that_times_out_is_retried() {
        let (cluster, mut transactions) = opened().await;
        // Each answer takes longer than the timeout of a call.
        transactions.call_timeout = Duration::from_millis(20);
        cluster.broker_round_trip_time(-1, Duration::from_millis(200)).unwrap();
        transactions.publish(&[record()]).await.unwrap();
    }

    #[tokio::test]
    async fn after_an_abort_the_next_transaction_succeeds() {
        let unauthorized = Answer::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        let (disturbed, next) = answered(RDKafkaApiKey::AddPartitionsToTxn, &[unauthorized]).await;
        assert!(matches!(disturbed, Err(TransactionError::Aborted(_))), "{disturbed:?}");
        assert!(next.is_ok(), "{next:?}");
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_is_refused_with_its_key() {
        let too_large = Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        // The run ends with this error, so the next transaction does not matter.
        let (disturbed, _) = answered(RDKafkaApiKey::Produce, &[too_large]).await;
        let Err(TransactionError::Refused(cause)) = disturbed else { panic!("{disturbed:?}") };
        assert!(cause.contains("aaaa-2222"), "{cause}");
    }

    #[tokio::test]
    async fn an_unreachable_leader_is_distinguished_from_other_errors() {
        let cluster: Cluster = MockCluster::new(2).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        cluster.partition_leader(TOPIC, 0, Some(2)).unwrap();
        cluster.coordinator(MockCoordinator::Transaction("producer.us".to_owned()), 1).unwrap();
        let options = vec!["transaction.timeout.ms=1000".to_owned().into()];
        let kafka = KafkaArgs { brokers: cluster.bootstrap_servers(), options, topic_prefix: String::new() };
        let transactions = Transactions::open(&kafka, "producer.us").await.unwrap();
        cluster.broker_down(2).unwrap();
        assert!(matches!(transactions.publish(&[record()]).await, Err(TransactionError::Unreachable(_))));
    }

    #[tokio::test]
    async fn a_page_that_times_out_suggests_a_smaller_page_size() {
        let cluster: Cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let options = vec!["message.timeout.ms=500".to_owned().into()];
        let kafka = KafkaArgs { brokers: cluster.bootstrap_servers(), options, topic_prefix: String::new() };
        let transactions = Transactions::open(&kafka, "producer.us").await.unwrap();
        // Each answer takes longer than a record may, and several of them come well within the timeout of the probe.
        cluster.broker_round_trip_time(-1, Duration::from_millis(700)).unwrap();
        let error = transactions.publish(&[record()]).await.unwrap_err();
        assert!(matches!(error, TransactionError::Slow(_)), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains("--page-size") && message.contains("1 records of 2 bytes; us/data.example"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn fencing_and_timed_out_transactions_are_fatal() {
        for answer in [
            Answer::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            Answer::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
            Answer::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
        ] {
            let (disturbed, next) = answered(RDKafkaApiKey::EndTxn, &[answer]).await;
            assert!(matches!(disturbed, Err(TransactionError::Fatal(_))), "{disturbed:?}");
            assert!(matches!(next, Err(TransactionError::Fatal(_))), "{next:?}");
        }
    }
}
