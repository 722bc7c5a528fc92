//! The columns of a dead letter that `list` and `show` both print.

use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;
use time::OffsetDateTime;

/// A dead letter without its key and value.
#[derive(FromRow, Serialize)]
pub(super) struct DeadLetter {
    pub(super) id: i64,
    /// Empty for the topics that the tables are filled from now. Otherwise the earlier Kafka cluster, and until when the
    /// tables were filled from it.
    pub(super) cluster: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) headers: Json<Vec<(String, Value)>>,
    pub(super) region: Option<String>,
    pub(super) run: Option<i64>,
    pub(super) reason: String,
    pub(super) state: String,
    /// Whether the ledger counts the record.
    pub(super) counted: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) settled_at: Option<OffsetDateTime>,
}

#[cfg(test)]
pub(super) fn example(state: &str, cluster: &str) -> DeadLetter {
    DeadLetter {
        id: 7,
        cluster: cluster.to_owned(),
        topic: "socrata.hosts".to_owned(),
        partition: 0,
        offset: 41,
        headers: Json(vec![("kind".into(), "hosts".into()), ("x".into(), serde_json::json!({"hex":"ff"}))]),
        region: None,
        run: None,
        reason: "missing \u{1b}[31m field".to_owned(),
        state: state.to_owned(),
        counted: true,
        seen_at: OffsetDateTime::UNIX_EPOCH,
        settled_at: None,
    }
}
