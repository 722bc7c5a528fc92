use std::collections::BTreeMap;

use catalog_shared::cursor::RunParameters;
use catalog_shared::kafka::{self, LogContext};
use catalog_shared::partition_reader::{self, Isolation, PartitionReader};
use catalog_shared::watermarks::watermarks;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::run::lifecycle::new_cursor;

fn cursor() -> Cursor {
    let parameters = RunParameters { kinds: Vec::new(), ..RunParameters::full() };
    new_cursor(Region::Us, parameters, 1, &BTreeMap::new())
}

/// On librdkafka's mock cluster, which shows records immediately, as if each transaction had been committed.
#[tokio::test]
async fn a_commit_with_a_lost_answer_is_not_repeated() {
    let cluster = MockCluster::new(1).unwrap();
    let topic = Topics::new("").cursors();
    cluster.create_topic(&topic, 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let kafka = KafkaArgs { brokers, options: Vec::new(), topic_prefix: String::new() };
    let (mut claim, _) = Claim::open(&kafka, Region::Us).await.unwrap();
    let claimed = cursor();
    assert!(claim.establish(&claimed).await.unwrap());

    let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
    cluster.request_errors(RDKafkaApiKey::EndTxn, &[fenced]);
    claim.commit(Vec::new(), &Cursor { next_page: 1, ..claimed }).await.unwrap();

    let config = partition_reader::config(&kafka, Isolation::Uncommitted).unwrap();
    let read = move || {
        let consumer: PartitionReader = kafka::create(&config, LogContext::default()).unwrap();
        watermarks(&consumer, &topic, Region::Us.cursor_partition()).unwrap().1
    };
    // The claim and the page.
    assert_eq!(spawn_blocking(read).await.unwrap(), 2);
}

/// As if Kafka had lost the end of the last commit: its cursor was acknowledged, but an older one is read.
#[tokio::test]
async fn a_committed_cursor_that_stays_invisible_ends_the_crawl() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(&Topics::new("").cursors(), 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let kafka = KafkaArgs { brokers, options: Vec::new(), topic_prefix: String::new() };
    let (mut claim, _) = Claim::open(&kafka, Region::Us).await.unwrap();
    let claimed = cursor();
    assert!(claim.establish(&claimed).await.unwrap());
    claim.last = Some(Cursor { next_page: 1, ..claimed.clone() });
    tokio::time::pause();
    let recovered = claim.recover(&Cursor { next_page: 2, ..claimed }).await;
    let error = recovered.err().map(|error| error.to_string()).unwrap();
    assert!(error.contains("lost the last committed cursor of run 1"), "{error}");
}

#[test]
fn outages_are_retried_without_limit_and_other_errors_a_few_times() {
    let mut attempts = Attempts::default();
    let mut retries = |error: fn(String) -> TransactionError, times| {
        (0..times).filter(|_| attempts.may_retry(&error(String::new()))).count()
    };
    assert_eq!(retries(TransactionError::Unreachable, 100), 100);
    assert_eq!(retries(TransactionError::Fatal, 3), 3);
    assert_eq!(retries(TransactionError::Unreachable, 1), 1);
    assert_eq!(retries(TransactionError::Aborted, 5), 4);
    assert_eq!(retries(TransactionError::Unreachable, 1), 1);
    assert_eq!(retries(TransactionError::Slow, 5), 4);
    assert_eq!(retries(TransactionError::Refused, 1), 0);
}
