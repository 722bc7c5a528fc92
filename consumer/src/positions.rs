//! Positions: where each partition stands, in the database. They move by compare and set in the
//! transaction that applies a batch, and that makes it exactly once.

use std::collections::HashMap;

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::batch::{Batch, Place, TopicKind};

/// Where a partition stands.
pub(crate) struct Standing {
    /// The offset of the next record to apply.
    pub(crate) position: i64,
    /// Records before this offset are in the ledger.
    pub(crate) counted_to: i64,
    /// How many records were applied before.
    pub(crate) records: i64,
}

/// Reads where a partition stands and holds it until the transaction ends.
pub(crate) async fn hold(tx: &mut PgConnection, place: &Place) -> sqlx::Result<Standing> {
    let (position, counted_to, records) = sqlx::query_as(include_str!("../sql/read_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .fetch_one(tx)
        .await?;
    Ok(Standing { position, counted_to, records })
}

/// Moves a position that is held to the end of its batch.
pub(crate) async fn advance(tx: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    sqlx::query(include_str!("../sql/move_position.sql"))
        .bind(&batch.place.topic)
        .bind(batch.place.partition)
        .bind(batch.to)
        .bind(batch.records.len().cast_signed() as i64)
        .execute(tx)
        .await?;
    Ok(())
}

/// Where a partition stands; one that was never applied is put at `low`, its first offset.
pub(crate) async fn start(pool: &PgPool, place: &Place, low: i64) -> sqlx::Result<i64> {
    if let Some(position) = find(pool, place).await? {
        return Ok(position);
    }
    sqlx::query(include_str!("../sql/start_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(low)
        .execute(pool)
        .await?;
    // Once more, for another member may have put it somewhere just now.
    find(pool, place).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Where a partition stands, moved up to `low` where its topic has deleted what came before, as the topic of
/// dead letters does.
pub(crate) async fn skip_expired(pool: &PgPool, place: &Place, position: i64, low: i64) -> sqlx::Result<i64> {
    if place.kind != TopicKind::DeadLetters || position >= low {
        return Ok(position);
    }
    tracing::warn!(
        topic = place.topic,
        partition = place.partition,
        position,
        low,
        "dead letters of producers were deleted before they arrived here; going on behind them"
    );
    sqlx::query_scalar(include_str!("../sql/skip_expired.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(low)
        .fetch_one(pool)
        .await
}

async fn find(pool: &PgPool, place: &Place) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(include_str!("../sql/find_position.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .fetch_optional(pool)
        .await
}

/// The positions of all partitions of some topics.
pub(crate) async fn read(
    db: impl PgExecutor<'_>,
    topics: &[String],
) -> sqlx::Result<HashMap<(String, i32), i64>> {
    let rows: Vec<(String, i32, i64)> =
        sqlx::query_as(include_str!("../sql/read_positions.sql")).bind(topics).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(topic, partition, position)| ((topic, partition), position)).collect())
}
