//! Fills the table of datasets while it is empty: its rows are decoded from the topics by all cores and copied straight into
//! it, in the transaction that holds the lock. Until then the shadow has only their keys, hashes and `retired_at`, so that a
//! row is written once and not twice.
//!
//! What the table then contains is compared with the shadow. If anything is not as expected, the attempt is rolled back with
//! [`NotFilled`], and the rebuild starts again with complete rows in the shadow.

use std::pin::pin;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{anyhow, bail, ensure};
use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::shutdown::CancellationToken;
use futures::stream::poll_fn;
use futures::{Stream, StreamExt};
use rdkafka::message::{BorrowedMessage, Message};
use sqlx::PgConnection;
use thiserror::Error;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::spawn_blocking;

use super::comparison::DiffCounts;
use super::selection::SelectedOffsets;
use super::targets::ReplayTargets;
use super::topic_pass::{Sink, TopicPass};
use crate::model::arena::Arena;
use crate::model::record::Record;
use crate::model::topic::PartitionId;
use crate::store::db_error::rejects_copy;
use crate::store::rows::copy::encoder::Encoder;
use crate::store::rows::copy::stream::{RetiredAt, RowStream, encode};

/// The bytes of records that are decoded together.
const CHUNK_BYTES: usize = 256 * 1024;
/// The number of chunks that wait to be decoded.
const WAITING_CHUNKS: usize = 4;

/// Why the rows can't be copied straight into the live table.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct NotFilled(pub(super) String);

/// Copies the selected records into the empty table of datasets. `found` is how it differs from the shadow.
///
/// # Errors
/// [`NotFilled`], or an error of Kafka or the database.
pub(super) async fn fill(
    tx: &mut PgConnection,
    (kafka, targets): (&KafkaArgs, &ReplayTargets),
    selected: SelectedOffsets,
    found: &DiffCounts,
) -> anyhow::Result<()> {
    if found.all() != found.missing {
        return Err(NotFilled("the table is not empty".to_owned()).into());
    }
    let ranges: Vec<_> = selected.ranges().collect();
    let ranges = targets.ranges().filter_map(|(topic_partition, ..)| {
        let (_, first, end) = ranges.iter().find(|(id, ..)| *id == topic_partition.id())?;
        Some((topic_partition, *first, *end))
    });
    let pass = TopicPass::start(kafka, ranges)?;
    let retired_at: Vec<(String, time::OffsetDateTime)> =
        sqlx::query_as(include_str!("../../../sql/rebuild/read_retired.sql")).fetch_all(&mut *tx).await?;
    let rows = copy(tx, pass, selected, retired_at.into_iter().collect()).await?;
    let is_equal: bool = sqlx::query_scalar(include_str!("../../../sql/rebuild/is_filled.sql"))
        .bind(i64::try_from(rows)?)
        .fetch_one(tx)
        .await?;
    if !is_equal {
        return Err(NotFilled("other rows than expected were copied".to_owned()).into());
    }
    tracing::info!(event = events::ROWS_COPIED, rows, "copied the rows of datasets from the topics");
    Ok(())
}

/// Copies the selected records. Returns the number of rows.
async fn copy(
    tx: &mut PgConnection,
    pass: TopicPass,
    selected: SelectedOffsets,
    retired_at: RetiredAt,
) -> anyhow::Result<u64> {
    let Some(mut stream) = RowStream::start(tx).await? else {
        return Err(NotFilled("the table was altered".to_owned()).into());
    };
    let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    // The thread ends soon after this is dropped.
    let guard = stop.drop_guard();
    let reading = spawn_blocking(move || read(pass, selected, sender, &stopped));
    let sent = send(&mut stream, chunks, Arc::new(retired_at)).await;
    if sent.is_err() {
        drop(guard);
    }
    match sent.and(reading.await?) {
        Ok(()) => stream.finish().await.map_err(refused),
        // What has failed already can't be aborted, and its error is the reason.
        Err(error) => Err(stream.abort().await.err().map_or(error, refused)),
    }
}

async fn send(
    stream: &mut RowStream<'_>,
    chunks: Receiver<Vec<Record>>,
    retired_at: Arc<RetiredAt>,
) -> anyhow::Result<()> {
    let mut rows = pin!(encoded(chunks, retired_at));
    while let Some(rows) = rows.next().await {
        stream.send(&rows?).await.map_err(refused)?;
    }
    Ok(())
}

/// Decodes and encodes chunks, as many at once as there are cores.
fn encoded(
    mut chunks: Receiver<Vec<Record>>,
    retired_at: Arc<RetiredAt>,
) -> impl Stream<Item = anyhow::Result<Encoder>> {
    let cores = available_parallelism().map_or(1, usize::from);
    let encoding = move |records: Vec<Record>| {
        let retired_at = Arc::clone(&retired_at);
        async move { spawn_blocking(move || encode(&records, &retired_at)).await? }
    };
    poll_fn(move |context| chunks.poll_recv(context)).map(encoding).buffer_unordered(cores)
}

/// A refusal of the database ends only the attempt.
fn refused(error: sqlx::Error) -> anyhow::Error {
    if rejects_copy(&error) {
        NotFilled(format!("the database refuses the rows: {error}")).into()
    } else {
        error.into()
    }
}

/// Reads the selected records.
fn read(
    pass: TopicPass,
    selected: SelectedOffsets,
    chunks: Sender<Vec<Record>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut values =
        Values { selected, chunks, arena: Arena::new(), chunk: Vec::new(), bytes: 0, records: 0 };
    pass.read(&mut values, stop)?;
    values.flush()?;
    if values.selected.are_incomplete() {
        bail!(NotFilled("compaction has removed a record meanwhile".to_owned()));
    }
    Ok(())
}

/// Copies the selected records into chunks.
struct Values {
    selected: SelectedOffsets,
    chunks: Sender<Vec<Record>>,
    arena: Arena,
    chunk: Vec<Record>,
    bytes: usize,
    records: u64,
}

impl Values {
    fn flush(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        if self.chunk.is_empty() {
            return Ok(());
        }
        let sent = self.chunks.blocking_send(std::mem::take(&mut self.chunk));
        ensure!(sent.is_ok(), "the rows are no longer copied");
        Ok(())
    }
}

impl Sink for Values {
    fn take(&mut self, partition: PartitionId, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        if !self.selected.take(partition, message.offset()) {
            return Ok(());
        }
        let record = Record::copy(message, &mut self.arena)
            .map_err(|schema| anyhow!("a record has schema {schema}, which this build can't read"))?;
        self.bytes += record.bytes();
        self.records += 1;
        self.chunk.push(record);
        if self.bytes >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn log_progress(&self) {
        tracing::info!(event = events::REPLAY_PROGRESS, records = self.records, "copied so far");
    }
}
