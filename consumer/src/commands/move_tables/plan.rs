//! The changes that a move makes in the database, in one transaction.

use anyhow::Context;
use catalog_shared::region::Region;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use super::args::Scope;
use super::known::KnownRuns;
use crate::model::source::Source;
use crate::model::topic::TopicPartition;
use crate::store::binding;

/// An open run whose remaining records are in the old topics.
#[derive(Debug, FromRow, Serialize)]
pub(super) struct AbandonedRun {
    pub(super) region: String,
    pub(super) run: i64,
}

/// The changes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changed {
    /// The runs that were open.
    #[serde(rename = "given_up")]
    pub(super) abandoned: Vec<AbandonedRun>,
    /// The number of dead letters that now belong to the old topics.
    pub(super) dead_letters: u64,
}

/// The new topics, the start of each partition, and the last known runs.
pub(super) struct Plan<'a> {
    pub(super) scope: &'a Scope,
    pub(super) known: &'a KnownRuns,
    /// The new topics and their ids.
    pub(super) source: &'a Source,
    /// The moved topics with catalog records.
    pub(super) topics: Vec<String>,
    pub(super) starts: Vec<(TopicPartition, i64)>,
    /// The old cluster, and until when the tables were filled from it.
    pub(super) label: String,
}

impl Plan<'_> {
    /// Makes all changes. The caller holds the exclusive schema lock.
    ///
    /// # Errors
    /// An error of the database.
    pub(super) async fn apply(&self, tx: &mut PgConnection) -> anyhow::Result<Changed> {
        let changed = self.leave_old_topics(tx).await.context("can't leave the old topics")?;
        self.insert_positions(tx).await.context("can't store the positions")?;
        self.insert_floors(tx).await.context("can't store the floors")?;
        binding::rebind(tx, self.source, *self.scope == Scope::Cluster).await?;
        Ok(changed)
    }

    async fn leave_old_topics(&self, tx: &mut PgConnection) -> sqlx::Result<Changed> {
        let topic = self.scope.topic();
        let labelled = sqlx::query(include_str!("../../../sql/move_tables/label_dead_letters.sql"))
            .bind(topic)
            .bind(&self.label)
            .execute(&mut *tx)
            .await?;
        let reset = include_str!("../../../sql/move_tables/reset_end_of_run_offsets.sql");
        sqlx::query(reset).bind(topic).execute(&mut *tx).await?;
        // Runs wait only for topics with catalog records.
        let abandoned = if self.topics.is_empty() {
            Vec::new()
        } else {
            sqlx::query_as(include_str!("../../../sql/move_tables/abandon_open_runs.sql"))
                .bind("its remaining records are in the topics that `move` left")
                .fetch_all(tx)
                .await?
        };
        Ok(Changed { abandoned, dead_letters: labelled.rows_affected() })
    }

    async fn insert_positions(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(include_str!("../../../sql/move_tables/delete_positions.sql"))
            .bind(self.scope.topic())
            .execute(&mut *tx)
            .await?;
        let topic_partitions = || self.starts.iter().map(|(topic_partition, _)| topic_partition);
        sqlx::query(include_str!("../../../sql/move_tables/insert_positions.sql"))
            .bind(
                topic_partitions().map(|topic_partition| topic_partition.topic.as_str()).collect::<Vec<_>>(),
            )
            .bind(topic_partitions().map(|topic_partition| topic_partition.partition).collect::<Vec<_>>())
            .bind(self.starts.iter().map(|(_, start)| *start).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        Ok(())
    }

    async fn insert_floors(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(include_str!("../../../sql/move_tables/delete_floors.sql"))
            .bind(self.scope.topic())
            .execute(&mut *tx)
            .await?;
        sqlx::query(include_str!("../../../sql/move_tables/insert_floors.sql"))
            .bind(&self.topics)
            .bind(self.known.keys().copied().map(Region::name).collect::<Vec<_>>())
            .bind(self.known.values().copied().map(i64::from).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        Ok(())
    }
}
