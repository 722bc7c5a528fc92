//! Transactions with broker errors, on librdkafka's mock cluster. It supports neither isolation nor fencing, so what
//! consumers see of a transaction is tested on a real broker.

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
    let Err(TransactionError::Aborted(cause)) = disturbed else { panic!("{disturbed:?}") };
    assert!(cause.contains(&format!("\"{TOPIC}\" [0]")) && cause.contains("authorization"), "{cause}");
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
