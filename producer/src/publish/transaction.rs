//! Kafka transactions: a page's records and the cursor go out together or not at all.

use std::time::{Duration, Instant};

use catalog_shared::kafka::{self, KafkaArgs};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::Producer;
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};
use tokio::task::spawn_blocking;

use crate::model::outgoing::Outgoing;
use crate::publish::commit::commit;
use crate::publish::delivery::{Undelivered, await_all, is_queue_full};
use crate::publish::ends::{Ends, EndsContext};
use crate::publish::failure::TransactionError;
use crate::publish::leaders;

type Client = FutureProducer<EndsContext>;

const PATIENCE: Duration = Duration::from_secs(10);
/// How long the first contact with the broker may take.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A transactional producer. Opening one fences every other of the same id.
pub(crate) struct Transactions {
    client: Client,
    kafka: KafkaArgs,
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
        Ok(Self { client, kafka: kafka.clone(), patience: PATIENCE, ends })
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
                    // Looked at before the abort, which may take as long as an outage.
                    Some(RDKafkaErrorCode::MessageTimedOut)
                        if leaders::are_up(&self.kafka, records).await =>
                    {
                        TransactionError::Slow
                    }
                    Some(RDKafkaErrorCode::MessageTimedOut) => TransactionError::Away,
                    _ => TransactionError::Aborted,
                };
                let bytes: usize = records.iter().map(|record| record.value.len()).sum();
                let cause = format!("{} records of {bytes} bytes; {key}: {error}", records.len());
                Err(self.abort(cause, aborted).await)
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

/// What becomes of a transaction when the broker answers with errors, on librdkafka's mock cluster. It
/// knows neither isolation nor fencing: what others see of a transaction is for the tests on a real broker.
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
    async fn a_page_that_is_not_taken_in_time_names_the_page_size() {
        let cluster: Cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let options = vec!["message.timeout.ms=500".to_owned().into()];
        let kafka = KafkaArgs { brokers: cluster.bootstrap_servers(), options, topic_prefix: String::new() };
        let transactions = Transactions::open(&kafka, "producer.us").await.unwrap();
        // Each answer takes longer than a record may.
        cluster.broker_round_trip_time(-1, Duration::from_millis(1_000)).unwrap();
        let error = transactions.publish(&[record()]).await.unwrap_err();
        assert!(matches!(error, TransactionError::Slow(_)), "{error:?}");
        let told = error.to_string();
        assert!(
            told.contains("--page-size") && told.contains("1 records of 2 bytes; us/data.example"),
            "{told}"
        );
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
