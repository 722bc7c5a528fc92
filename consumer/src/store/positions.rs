//! Positions: the offset of the next record of each partition, stored in the database. A batch's transaction checks and
//! moves its position, which makes the application exactly once.

use catalog_shared::events;
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::model::batch::Batch;
use crate::model::positions::Positions;
use crate::model::start::{CommittedOffset, Start};
use crate::model::topic::{TopicKind, TopicPartition};

/// A row of the table `positions`.
pub(crate) struct PositionRow {
    /// The offset of the next record to apply.
    pub(crate) position: i64,
    /// Records below this offset are counted in the ledger.
    pub(crate) counted_to: i64,
    /// The number of records applied so far.
    pub(crate) records: i64,
}

/// Reads a position row and locks it until the transaction ends.
pub(crate) async fn lock_row(
    tx: &mut PgConnection,
    topic_partition: &TopicPartition,
) -> sqlx::Result<PositionRow> {
    let (position, counted_to, records) = sqlx::query_as(include_str!("../../sql/apply/read_position.sql"))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .fetch_one(tx)
        .await?;
    Ok(PositionRow { position, counted_to, records })
}

/// Moves a locked position to the end of its batch.
pub(crate) async fn advance(tx: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/apply/move_position.sql"))
        .bind(&batch.topic_partition.topic)
        .bind(batch.topic_partition.partition)
        .bind(batch.to)
        .bind(batch.records.len().cast_signed() as i64)
        .execute(tx)
        .await?;
    Ok(())
}

/// Waits until these positions, and all commits before, are on the server's disk. The commits of batches don't wait for it
/// (`synchronous_commit`), but a later commit that waits covers them, because the log is written in order.
pub(crate) async fn make_durable(pool: &PgPool, positions: &Positions) -> sqlx::Result<()> {
    let Some((topic, partition)) = positions.partitions().next() else { return Ok(()) };
    sqlx::query(include_str!("../../sql/apply/make_durable.sql"))
        .bind(topic)
        .bind(partition)
        .execute(pool)
        .await?;
    Ok(())
}

/// Decides where an assigned partition starts, and stores that position.
pub(crate) async fn start(
    pool: &PgPool,
    topic_partition: &TopicPartition,
    committed: Option<CommittedOffset>,
    low: i64,
) -> sqlx::Result<Start> {
    loop {
        let start = Start::decide(find(pool, topic_partition).await?, committed, low);
        let is_stored = match start {
            Start::Position(_) => true,
            Start::Beginning(low) => insert(pool, topic_partition, low).await?,
            Start::Reset { from, to } => reset(pool, topic_partition, from, to).await?,
        };
        // Another member has moved it concurrently: decide again.
        if is_stored {
            return Ok(start);
        }
    }
}

/// Moves the start of a partition up to `low` if earlier records have expired, as in the topic of dead letters.
pub(crate) async fn skip_expired(
    pool: &PgPool,
    topic_partition: &TopicPartition,
    start: Start,
    low: i64,
) -> sqlx::Result<Start> {
    let position = start.offset();
    if topic_partition.kind != TopicKind::DeadLetters || position >= low {
        return Ok(start);
    }
    tracing::warn!(
        event = events::DEAD_LETTERS_EXPIRED,
        topic = topic_partition.topic,
        partition = topic_partition.partition,
        position,
        low,
        "dead letters of producers expired before they were read; skipping them"
    );
    let moved = sqlx::query_scalar(include_str!("../../sql/apply/skip_expired.sql"))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .bind(low)
        .fetch_one(pool)
        .await?;
    // A reset stays a reset, so that the offset is committed before anything is consumed.
    Ok(if let Start::Reset { from, .. } = start {
        Start::Reset { from, to: moved }
    } else {
        Start::Position(moved)
    })
}

async fn find(pool: &PgPool, topic_partition: &TopicPartition) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(include_str!("../../sql/apply/find_position.sql"))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .fetch_optional(pool)
        .await
}

async fn insert(pool: &PgPool, topic_partition: &TopicPartition, low: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(include_str!("../../sql/apply/insert_position.sql"))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .bind(low)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Moves a position from one offset to another. Returns false if it was not at the first one.
pub(crate) async fn reset(
    pool: &PgPool,
    topic_partition: &TopicPartition,
    from: i64,
    to: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(include_str!("../../sql/apply/reset_position.sql"))
        .bind(&topic_partition.topic)
        .bind(topic_partition.partition)
        .bind(from)
        .bind(to)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The positions of all partitions of these topics.
pub(crate) async fn read(db: impl PgExecutor<'_>, topics: &[String]) -> sqlx::Result<Positions> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as(include_str!("../../sql/apply/read_positions.sql")).bind(topics).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(topic, partition, position)| ((topic, partition), position)).collect())
}
