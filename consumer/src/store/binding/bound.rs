//! Reads the stored binding of the tables.

use anyhow::Context;
use sqlx::{FromRow, PgConnection};

/// The stored binding of the tables to a source.
#[derive(Debug, Default, FromRow)]
pub(super) struct Bound {
    pub(super) topic_prefix: Option<String>,
    pub(super) cluster_id: Option<String>,
    pub(super) schema: String,
    /// Topic ids by name; several if the partitions of a topic differ.
    #[sqlx(skip)]
    pub(super) topics: Vec<(String, String)>,
}

pub(super) async fn read(connection: &mut PgConnection) -> anyhow::Result<Bound> {
    read_with_topics(include_str!("../../../sql/binding/read_binding.sql"), connection).await
}

/// Like [`read`], with a lock that blocks other bindings until the transaction ends.
pub(super) async fn read_for_update(connection: &mut PgConnection) -> anyhow::Result<Bound> {
    read_with_topics(include_str!("../../../sql/binding/lock_binding.sql"), connection).await
}

async fn read_with_topics(statement: &'static str, connection: &mut PgConnection) -> anyhow::Result<Bound> {
    let bound: Bound = sqlx::query_as(statement)
        .fetch_one(&mut *connection)
        .await
        .context("can't read the binding of the tables (the table installation)")?;
    let topics = sqlx::query_as(include_str!("../../../sql/binding/read_topic_ids.sql"))
        .fetch_all(connection)
        .await
        .context("can't read the ids of the topics")?;
    Ok(Bound { topics, ..bound })
}
