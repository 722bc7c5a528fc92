//! The low and high watermark of a partition.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

/// The timeout of a request and of all retries.
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The first and the next offset of a partition. With `read_committed`, the latter is the start of the first open
/// transaction. Blocks.
///
/// # Errors
/// The error of Kafka. Leader elections are retried for 30 seconds.
pub fn watermarks<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> KafkaResult<(i64, i64)> {
    let deadline = Instant::now() + WATERMARK_TIMEOUT;
    loop {
        match client.fetch_watermarks(topic, partition, WATERMARK_TIMEOUT) {
            Err(error) if is_election(&error) && Instant::now() < deadline => std::thread::sleep(RETRY_DELAY),
            answer => return answer,
        }
    }
}

fn is_election(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable)
    )
}
