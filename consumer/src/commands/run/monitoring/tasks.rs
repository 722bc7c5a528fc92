//! The tasks that read the ends of the partitions, the figures of the ledger and what the status page shows. Each read has a
//! timeout.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Monitor;
use crate::commands::check::page::Connections;
use crate::kafka::committed_ends::{CommittedEnd, EndReader};
use crate::model::topic::TopicPartition;
use crate::store::figures;

/// Interval between two reads.
const READ_INTERVAL: Duration = Duration::from_secs(10);
/// How long the database may take to answer.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the tasks. They end when the guard is dropped.
pub(super) fn start(monitor: &Monitor, kafka: &KafkaArgs, figures_of: Option<&PgPool>) -> DropGuard {
    let stop = CancellationToken::new();
    let ends = follow_ends(monitor.clone(), kafka.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(ends));
    if let Some(pool) = figures_of {
        // They share one connection.
        let reading = Arc::new(Mutex::new(()));
        let figures = follow_figures(monitor.clone(), pool.clone(), Arc::clone(&reading));
        tokio::spawn(stop.clone().run_until_cancelled_owned(figures));
        let source = Connections { pool: pool.clone(), kafka: kafka.clone(), reading };
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow_viewers(monitor.clone(), source)));
    }
    stop.drop_guard()
}

async fn follow_viewers(monitor: Monitor, source: Connections) {
    if let Some(page) = monitor.page {
        page.follow(source).await;
    }
}

/// Keeps the ends of the assigned partitions up to date. While Kafka does not answer, the last ones stay.
async fn follow_ends(monitor: Monitor, kafka: KafkaArgs) {
    let mut tick = interval(READ_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reader = None;
    loop {
        let topic_partitions = monitor.topic_partitions();
        if topic_partitions.is_empty() {
            // A new assignment should not wait for the next tick.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        tick.tick().await;
        let mut ends = match read_ends(&mut reader, &kafka, topic_partitions) {
            Ok(ends) => ends,
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "can't read the end offsets");
                continue;
            }
        };
        while let Some(CommittedEnd { partition, end, at }) = ends.recv().await {
            monitor.lock().read_end(partition, end, at);
        }
    }
}

/// Starts to read the ends of these partitions. The first call also starts the reader.
fn read_ends(
    reader: &mut Option<EndReader>,
    kafka: &KafkaArgs,
    topic_partitions: Vec<TopicPartition>,
) -> anyhow::Result<UnboundedReceiver<CommittedEnd>> {
    let reader = match reader {
        Some(reader) => reader,
        None => reader.insert(EndReader::start(kafka)?),
    };
    Ok(reader.read(topic_partitions))
}

/// Keeps the figures up to date.
async fn follow_figures(monitor: Monitor, pool: PgPool, reading: Arc<Mutex<()>>) {
    let mut tick = interval(READ_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tick.tick().await;
        let _reading = reading.lock().await;
        let answers = timeout(QUERY_TIMEOUT, figures::ping(&pool)).await.is_ok_and(|answer| answer.is_ok());
        monitor.lock().pinged(answers, Instant::now());
        // A slow query is no outage.
        let error = match timeout(QUERY_TIMEOUT, figures::read(&pool)).await {
            Ok(Ok(figures)) => {
                monitor.lock().figures = Some((Instant::now(), figures));
                is_failing = false;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", QUERY_TIMEOUT.as_secs()),
        };
        // Once per failure, because it is tried again every few seconds.
        if answers && !std::mem::replace(&mut is_failing, true) {
            log_unreadable(&error);
        }
    }
}

fn log_unreadable(error: &str) {
    tracing::warn!(
        event = events::FIGURES_UNREADABLE,
        error,
        "can't read the figures of the ledger, retrying; metrics of regions and runs are missing or old"
    );
}

impl Monitor {
    fn topic_partitions(&self) -> Vec<TopicPartition> {
        self.lock().partitions.values().map(|state| state.topic_partition.clone()).collect()
    }
}
