//! The outbox of the webhook. A notification is stored once, and sent until the receiver has accepted it.

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

/// A notification to store.
#[derive(Clone, Debug)]
pub(crate) struct NewNotification {
    pub(crate) event: &'static str,
    pub(crate) region: String,
    pub(crate) run: i64,
    pub(crate) payload: Value,
}

/// A notification to send.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Notification {
    pub(crate) id: String,
    pub(crate) payload: Json<Value>,
    pub(crate) created_at: OffsetDateTime,
    /// The number of this attempt, from 1.
    pub(crate) attempts: i32,
}

/// Stores a notification, unless there was one about the same event, region and run.
pub(crate) async fn enqueue(pool: &PgPool, new: &NewNotification) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/notifications/enqueue.sql"))
        .bind(new.event)
        .bind(&new.region)
        .bind(new.run)
        .bind(Json(&new.payload))
        .execute(pool)
        .await?;
    Ok(())
}

/// The number of records that were ever applied. It changes while consumers catch up.
pub(crate) async fn applied_records(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar(include_str!("../../sql/notifications/applied_records.sql")).fetch_one(pool).await
}

/// Takes the notification that is due next, if there is one. It is due again later, unless it is marked as sent.
pub(crate) async fn take_due(pool: &PgPool) -> sqlx::Result<Option<Notification>> {
    sqlx::query_as(include_str!("../../sql/notifications/take_due.sql")).fetch_optional(pool).await
}

/// Marks a notification as sent.
pub(crate) async fn mark_sent(pool: &PgPool, id: &str) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/notifications/mark_sent.sql")).bind(id).execute(pool).await?;
    Ok(())
}
