//! What the tables belong to, as they say it themselves.

use anyhow::Context;
use sqlx::{FromRow, PgConnection};

/// What the tables belong to.
#[derive(Debug, Default, FromRow)]
pub(super) struct Bound {
    pub(super) topic_prefix: Option<String>,
    pub(super) cluster_id: Option<String>,
    pub(super) schema: String,
    /// The ids of the topics by name; several where a topic's partitions differ.
    #[sqlx(skip)]
    pub(super) topics: Vec<(String, String)>,
}

pub(super) async fn read(connection: &mut PgConnection) -> anyhow::Result<Bound> {
    complete(include_str!("../../../sql/binding/read_binding.sql"), connection).await
}

/// As [`read`]; nobody else binds the tables before the transaction ends.
pub(super) async fn hold(connection: &mut PgConnection) -> anyhow::Result<Bound> {
    complete(include_str!("../../../sql/binding/lock_binding.sql"), connection).await
}

async fn complete(statement: &'static str, connection: &mut PgConnection) -> anyhow::Result<Bound> {
    let bound: Bound = sqlx::query_as(statement)
        .fetch_one(&mut *connection)
        .await
        .context("can't read what the tables belong to (the table installation)")?;
    let topics = sqlx::query_as(include_str!("../../../sql/binding/read_topic_ids.sql"))
        .fetch_all(connection)
        .await
        .context("can't read the ids of the topics")?;
    Ok(Bound { topics, ..bound })
}
