//! Kafka transactions: a page's records and the cursor go out together or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog_shared::kafka::{self, KafkaArgs};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::Producer;
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};
use thiserror::Error;
use tokio::task::spawn_blocking;

use crate::publish::commit::commit;
use crate::publish::ends::{Ends, EndsContext};

/// A record on its way.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) value: Bytes,
    /// Shared by all records of a page and kind.
    pub(crate) headers: Arc<OwnedHeaders>,
}

/// Why a transaction was not committed.
#[derive(Debug, Error)]
pub(crate) enum TransactionError {
    /// This instance can do no more. Another one may have taken over, or the transaction took too long:
    /// the two look the same from here, and the commit may even have gone through.
    #[error("the transactional producer was fenced or timed out: {0}")]
    Fatal(String),
    /// It was aborted and nothing of it can be seen; it may be tried again.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// It was aborted, for a broker that leads a partition was away for too long; it may be tried again.
    #[error("a broker is away, and the transaction was aborted: {0}")]
    Away(String),
    /// It was aborted, and would be again.
    #[error("Kafka refuses a record: {0}")]
    Refused(String),
}

type Client = FutureProducer<EndsContext>;

const PATIENCE: Duration = Duration::from_secs(10);
/// How long the first contact with the broker may take.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A transactional producer. Opening one fences every other of the same id.
pub(crate) struct Transactions {
    client: Client,
    /// How long one call waits for the broker before it is made again.
    patience: Duration,
    ends: Ends,
}

impl Transactions {
    pub(crate) async fn open(kafka: &KafkaArgs, id: &str) -> anyhow::Result<Self> {
        let mut config = kafka.client_config(&[
            ("transactional.id", id),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // Long enough to ride out a broker's restart without an error.
            ("transaction.timeout.ms", "60000"),
            // Records are sent a page at a time and all awaited, so waiting for more gains nothing.
            ("linger.ms", "0"),
            ("compression.codec", "lz4"),
            // As much as our topics take.
            ("message.max.bytes", "8388608"),
            ("allow.auto.create.topics", "false"),
        ])?;
        let context = EndsContext::new(&mut config);
        let ends = context.ends();
        let client: Client = kafka::create(&config, context)?;
        let starting = client.clone();
        spawn_blocking(move || starting.init_transactions(START_PATIENCE)).await??;
        Ok(Self { client, patience: PATIENCE, ends })
    }

    /// Whether a request to end one of its transactions may still be on its way. Then the next transaction
    /// needs another instance.
    pub(crate) fn may_end_late(&self) -> bool {
        self.ends.is_one_late()
    }

    /// Publishes records in one transaction.
    pub(crate) async fn publish(&self, records: &[Outgoing]) -> Result<(), TransactionError> {
        self.client.begin_transaction().map_err(|error| TransactionError::Fatal(error.to_string()))?;
        match self.deliver(records).await {
            Ok(()) => {
                tracing::debug!(records = records.len(), "records delivered");
                self.commit().await
            }
            Err(Undelivered { key, error }) => {
                let aborted = match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::MessageSizeTooLarge) => TransactionError::Refused,
                    Some(RDKafkaErrorCode::MessageTimedOut) => TransactionError::Away,
                    _ => TransactionError::Aborted,
                };
                Err(self.abort(format!("{key}: {error}"), aborted).await)
            }
        }
    }

    /// Sends all and awaits all, so that the commit finds nothing left to flush.
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
            let (client, patience) = (self.client.clone(), self.patience);
            let answer = spawn_blocking(move || commit(&client, patience)).await;
            self.ends.took_since(start);
            match answer.map_err(|error| TransactionError::Fatal(error.to_string()))? {
                Ok(()) => return Ok(()),
                // The commit that timed out is carried on by calling it again, never by an abort.
                Err(error) if error.retriable => {
                    tracing::warn!(%error, "the commit takes long; waiting for Kafka")
                }
                Err(error) if error.requires_abort => {
                    return Err(self.abort(error.to_string(), TransactionError::Aborted).await);
                }
                Err(error) => return Err(TransactionError::Fatal(error.to_string())),
            }
        }
    }

    /// Aborts; what that is then called is `aborted`.
    async fn abort(&self, cause: String, aborted: fn(String) -> TransactionError) -> TransactionError {
        let start = Instant::now();
        loop {
            if let Some((code, reason)) = self.client.client().fatal_error() {
                return TransactionError::Fatal(format!("{code}: {reason}"));
            }
            let (client, patience) = (self.client.clone(), self.patience);
            let answer = spawn_blocking(move || client.abort_transaction(patience)).await;
            self.ends.took_since(start);
            match answer {
                Ok(Ok(())) => return aborted(cause),
                Ok(Err(KafkaError::Transaction(error))) if error.is_retriable() => {
                    tracing::warn!(%error, "the abort takes long; waiting for Kafka");
                }
                Ok(Err(error)) => return TransactionError::Fatal(error.to_string()),
                Err(error) => return TransactionError::Fatal(error.to_string()),
            }
        }
    }
}

/// A record that Kafka did not take.
struct Undelivered {
    key: String,
    error: KafkaError,
}

async fn await_all<'a>(
    pending: impl IntoIterator<Item = (&'a Outgoing, DeliveryFuture)>,
) -> Result<(), Undelivered> {
    for (record, delivery) in pending {
        let delivered = delivery.await.map_err(|_| KafkaError::Canceled);
        let delivered = delivered.and_then(|told| told.map_err(|(error, _)| error));
        delivered.map_err(|error| Undelivered { key: record.key.clone(), error })?;
    }
    Ok(())
}

const fn is_queue_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}

/// What becomes of a transaction when the broker answers with errors, on librdkafka's mock cluster. It
/// knows neither isolation nor fencing: what others see of a transaction is for the tests on a real broker.
#[cfg(test)]
mod tests {
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

    /// Publishes a record while requests of a kind get these answers, then another one undisturbed.
    async fn answered(
        key: RDKafkaApiKey,
        answers: &[Answer],
    ) -> (Result<(), TransactionError>, Result<(), TransactionError>) {
        let (cluster, transactions) = opened().await;
        cluster.request_errors(key, answers);
        let disturbed = transactions.publish(&[record()]).await;
        cluster.clear_request_errors(key);
        (disturbed, published_in_the_end(&transactions).await)
    }

    /// Publishes a record as the claim does: again while it is aborted. What librdkafka still purges of the
    /// transaction before may take the first records of the next one with it.
    async fn published_in_the_end(transactions: &Transactions) -> Result<(), TransactionError> {
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
    async fn a_commit_is_carried_on_when_the_coordinator_moves_or_its_answer_is_lost() {
        let away = Answer::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
        let cut = Answer::RD_KAFKA_RESP_ERR__TRANSPORT;
        for answers in [&[away, away][..], &[cut]] {
            let (disturbed, next) = answered(RDKafkaApiKey::EndTxn, answers).await;
            assert!(disturbed.is_ok() && next.is_ok(), "{disturbed:?} {next:?}");
        }
    }

    #[tokio::test]
    async fn a_commit_that_is_not_answered_in_time_is_called_again() {
        let (cluster, mut transactions) = opened().await;
        // Each answer takes longer than a call has patience for.
        transactions.patience = Duration::from_millis(20);
        cluster.broker_round_trip_time(-1, Duration::from_millis(200)).unwrap();
        transactions.publish(&[record()]).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_that_must_be_aborted_is_and_the_next_goes_on() {
        let unauthorized = Answer::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        let (disturbed, next) = answered(RDKafkaApiKey::AddPartitionsToTxn, &[unauthorized]).await;
        assert!(matches!(disturbed, Err(TransactionError::Aborted(_))), "{disturbed:?}");
        assert!(next.is_ok(), "{next:?}");
    }

    #[tokio::test]
    async fn a_record_that_is_too_large_is_refused_by_its_key() {
        let too_large = Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        // A run ends at it, so what the next transaction would meet does not matter.
        let (disturbed, _) = answered(RDKafkaApiKey::Produce, &[too_large]).await;
        let Err(TransactionError::Refused(cause)) = disturbed else { panic!("{disturbed:?}") };
        assert!(cause.contains("aaaa-2222"), "{cause}");
    }

    #[tokio::test]
    async fn a_record_whose_leader_is_away_is_told_from_other_trouble() {
        let cluster: Cluster = MockCluster::new(2).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        cluster.partition_leader(TOPIC, 0, Some(2)).unwrap();
        cluster.coordinator(MockCoordinator::Transaction("producer.us".to_owned()), 1).unwrap();
        let options = vec!["transaction.timeout.ms=1000".to_owned().into()];
        let kafka = KafkaArgs { brokers: cluster.bootstrap_servers(), options, topic_prefix: String::new() };
        let transactions = Transactions::open(&kafka, "producer.us").await.unwrap();
        cluster.broker_down(2).unwrap();
        assert!(matches!(transactions.publish(&[record()]).await, Err(TransactionError::Away(_))));
    }

    #[tokio::test]
    async fn a_fence_or_a_timed_out_transaction_is_fatal_for_good() {
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
