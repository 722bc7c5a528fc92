//! Detects a transaction in doubt: one without an end.
//!
//! If the only broker of a cluster is killed right after a commit, it may restart without the commit's control records:
//! its coordinator finds no leader for the partitions yet, treats them as deleted, and completes the transaction
//! (Kafka 4.3.1, `TransactionMarkerChannelManager`). Consumers with `read_committed` stop before it until the same
//! transactional id commits there again, which makes the pending records visible. So the readable cursor is old, and
//! its run can't be resumed exactly.

use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use catalog_shared::cursor_reader;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::partition_reader::{self, Isolation, PartitionReader};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use catalog_shared::watermarks::watermarks;
use tokio::task::spawn_blocking;

/// How long to wait for the end of the last transaction.
const END_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The last cursor after the committed ones, if its transaction has no end. Call it only after fencing all other
/// producers of the region, which ends their transactions.
///
/// # Errors
/// If Kafka can't be read.
pub(crate) async fn read(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Option<Cursor>> {
    let committed = partition_reader::config(kafka, Isolation::Committed)?;
    let all = partition_reader::config(kafka, Isolation::Uncommitted)?;
    let topic = topics.cursors();
    let read = move || -> anyhow::Result<_> {
        let committed: PartitionReader = kafka::create(&committed, LogContext::default())?;
        let all: PartitionReader = kafka::create(&all, LogContext::default())?;
        last_in_doubt(&committed, &all, &topic, region.cursor_partition())
    };
    spawn_blocking(read).await?.with_context(|| format!("can't read the cursors of region {region}"))
}

fn last_in_doubt(
    committed: &PartitionReader,
    all: &PartitionReader,
    topic: &str,
    partition: i32,
) -> anyhow::Result<Option<Cursor>> {
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        let (_, stable) = watermarks(committed, topic, partition)?;
        let (_, end) = watermarks(all, topic, partition)?;
        if stable >= end {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            let last = cursor_reader::last_between(all, topic, partition, stable)?;
            return Ok(last.map(|stored| stored.cursor));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
