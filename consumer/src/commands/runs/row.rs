//! The columns of a run that `list` and `show` both print.

use serde::Serialize;
use sqlx::FromRow;
use time::OffsetDateTime;

/// A run: its request, its state and its record counts.
#[derive(FromRow, Serialize)]
pub(super) struct RunDetails {
    pub(super) mode: Option<String>,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) ended_at: Option<OffsetDateTime>,
    pub(super) published: Option<i64>,
    pub(super) applied: Option<i64>,
    pub(super) dead: Option<i64>,
    pub(super) retired: Option<i64>,
}
