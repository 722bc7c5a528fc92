//! Positions: where each partition stands, in the database. They move by compare and set in the
//! transaction that applies a batch, and that makes it exactly once.

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::model::batch::Batch;
use crate::model::positions::Positions;
use crate::model::start::{CommittedOffset, Start};
use crate::model::topic::{TopicKind, TopicPartition};

/// Where a partition stands.
pub(crate) struct PositionRow {
    /// The offset of the next record to apply.
    pub(crate) position: i64,
    /// Records before this offset are in the ledger.
    pub(crate) counted_to: i64,
    /// How many records were applied before.
    pub(crate) records: i64,
}

/// Reads where a partition stands and holds it until the transaction ends.
pub(crate) async fn hold(tx: &mut PgConnection, place: &TopicPartition) -> sqlx::Result<PositionRow> {
    let (position, counted_to, records) = sqlx::query_as(include_str!("../../sql/apply/read_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .fetch_one(tx)
        .await?;
    Ok(PositionRow { position, counted_to, records })
}

/// Moves a position that is held to the end of its batch.
pub(crate) async fn advance(tx: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/apply/move_position.sql"))
        .bind(&batch.place.topic)
        .bind(batch.place.partition)
        .bind(batch.to)
        .bind(batch.records.len().cast_signed() as i64)
        .execute(tx)
        .await?;
    Ok(())
}

/// Decides where a partition starts that was taken over, and writes it down.
pub(crate) async fn start(
    pool: &PgPool,
    place: &TopicPartition,
    committed: Option<CommittedOffset>,
    low: i64,
) -> sqlx::Result<Start> {
    loop {
        let start = Start::decide(find(pool, place).await?, committed, low);
        let written = match start {
            Start::Position(_) => true,
            Start::Beginning(low) => begin(pool, place, low).await?,
            Start::Reset { from, to } => reset(pool, place, from, to).await?,
        };
        // Else another member has moved it just now, and it is decided anew.
        if written {
            return Ok(start);
        }
    }
}

/// The start of a partition, moved up to `low` where its topic has deleted what came before, as the topic of
/// dead letters does.
pub(crate) async fn skip_expired(
    pool: &PgPool,
    place: &TopicPartition,
    start: Start,
    low: i64,
) -> sqlx::Result<Start> {
    let position = start.offset();
    if place.kind != TopicKind::DeadLetters || position >= low {
        return Ok(start);
    }
    tracing::warn!(
        topic = place.topic,
        partition = place.partition,
        position,
        low,
        "dead letters of producers were deleted before they arrived here; going on behind them"
    );
    let moved = sqlx::query_scalar(include_str!("../../sql/apply/skip_expired.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(low)
        .fetch_one(pool)
        .await?;
    // A reset stays one, so that Kafka hears of it before anything is consumed.
    Ok(if let Start::Reset { from, .. } = start {
        Start::Reset { from, to: moved }
    } else {
        Start::Position(moved)
    })
}

async fn find(pool: &PgPool, place: &TopicPartition) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(include_str!("../../sql/apply/find_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .fetch_optional(pool)
        .await
}

async fn begin(pool: &PgPool, place: &TopicPartition, low: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(include_str!("../../sql/apply/insert_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(low)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn reset(pool: &PgPool, place: &TopicPartition, from: i64, to: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(include_str!("../../sql/apply/reset_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(from)
        .bind(to)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The positions of all partitions of some topics.
pub(crate) async fn read(db: impl PgExecutor<'_>, topics: &[String]) -> sqlx::Result<Positions> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as(include_str!("../../sql/apply/read_positions.sql")).bind(topics).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(topic, partition, position)| ((topic, partition), position)).collect())
}
