//! What a move changes in the database, in one transaction.

use anyhow::Context;
use catalog_shared::region::Region;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use super::args::Scope;
use super::known::Known;
use crate::model::source::Source;
use crate::model::topic::TopicPartition;
use crate::store::binding;

/// A run of which the rest was left behind.
#[derive(Debug, FromRow, Serialize)]
pub(super) struct AbandonedRun {
    pub(super) region: String,
    pub(super) run: i64,
}

/// What was changed.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changed {
    /// The runs that were still open.
    pub(super) given_up: Vec<AbandonedRun>,
    /// How many dead letters are of the old topics now.
    pub(super) dead_letters: u64,
}

/// The data topics that are moved, where their partitions start, and the last known runs.
pub(super) struct Plan<'a> {
    pub(super) scope: &'a Scope,
    pub(super) known: &'a Known,
    /// The new topics, as Kafka names them.
    pub(super) source: &'a Source,
    /// Topics of catalog records.
    pub(super) topics: Vec<String>,
    pub(super) starts: Vec<(TopicPartition, i64)>,
    /// Where the old topics were, and until when the tables were filled from them.
    pub(super) label: String,
}

impl Plan<'_> {
    /// Makes all changes. The caller holds the exclusive lock.
    ///
    /// # Errors
    /// What the database says.
    pub(super) async fn carry_out(&self, tx: &mut PgConnection) -> anyhow::Result<Changed> {
        let changed = self.leave_the_old(tx).await.context("can't leave the old topics")?;
        self.enter_positions(tx).await.context("can't enter the positions")?;
        self.enter_floors(tx).await.context("can't enter the floors")?;
        binding::rebind(tx, self.source, *self.scope == Scope::Cluster).await?;
        Ok(changed)
    }

    async fn leave_the_old(&self, tx: &mut PgConnection) -> sqlx::Result<Changed> {
        let topic = self.scope.topic();
        let labelled = sqlx::query(include_str!("../../../sql/moving/label_dead_letters.sql"))
            .bind(topic)
            .bind(&self.label)
            .execute(&mut *tx)
            .await?;
        let leave = include_str!("../../../sql/moving/reset_end_offsets.sql");
        sqlx::query(leave).bind(topic).execute(&mut *tx).await?;
        // Topics without catalog records hold nothing that a run waits for.
        let given_up = if self.topics.is_empty() {
            Vec::new()
        } else {
            sqlx::query_as(include_str!("../../../sql/moving/abandon_open_runs.sql"))
                .bind("its records were left behind by `move`")
                .fetch_all(tx)
                .await?
        };
        Ok(Changed { given_up, dead_letters: labelled.rows_affected() })
    }

    async fn enter_positions(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(include_str!("../../../sql/moving/remove_positions.sql"))
            .bind(self.scope.topic())
            .execute(&mut *tx)
            .await?;
        let places = || self.starts.iter().map(|(place, _)| place);
        sqlx::query(include_str!("../../../sql/moving/insert_positions.sql"))
            .bind(places().map(|place| place.topic.as_str()).collect::<Vec<_>>())
            .bind(places().map(|place| place.partition).collect::<Vec<_>>())
            .bind(self.starts.iter().map(|(_, start)| *start).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        Ok(())
    }

    async fn enter_floors(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query(include_str!("../../../sql/moving/remove_floors.sql"))
            .bind(self.scope.topic())
            .execute(&mut *tx)
            .await?;
        sqlx::query(include_str!("../../../sql/moving/insert_floors.sql"))
            .bind(&self.topics)
            .bind(self.known.keys().copied().map(Region::name).collect::<Vec<_>>())
            .bind(self.known.values().copied().map(i64::from).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        Ok(())
    }
}
