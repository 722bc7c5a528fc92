//! What a consumer looks after ten times a second: seeks, batches that have waited long enough, partitions'
//! ends, and whether it has caught up.

use std::time::Duration;

use anyhow::Context;
use rdkafka::consumer::Consumer as _;
use tokio::time::timeout;

use crate::commands::run::consumer::Consumer;
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::{errors, group, offsets};
use crate::model::positions::Positions;
use crate::model::topic::TopicKind;
use crate::store::{db_error, positions};
use crate::sync::source_check;

/// How long the loop may wait for the database: it has to go on receiving.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);

impl Consumer {
    pub(crate) async fn housekeeping(&mut self) -> anyhow::Result<()> {
        if self.ownership.is_contested() && self.ownership.may_retry() {
            self.check_group().await?;
        }
        for partition in self.partitions.values_mut() {
            if let Some(offset) = partition.seek_to {
                match group::seek(&self.member, &partition.place, offset).await {
                    Ok(()) => partition.seek_to = None,
                    // It may be on its way to another member; if not, the next tick tries again.
                    Err(error) => tracing::debug!(%error, "seeking"),
                }
            }
        }
        self.apply_all_due();
        self.pause_and_resume()?;
        self.step_past_ends()
    }

    /// Checks whether the group is this copy's now. Nothing changes if Kafka does not answer.
    async fn check_group(&mut self) -> anyhow::Result<()> {
        match self.ownership.probe().read().await {
            Ok(seen) => self.ownership.may_apply(&seen)?,
            Err(error) if errors::is_transient(&error) => {
                tracing::debug!(error = format!("{error:#}"), "can't read the group");
                self.ownership.retry_later();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Moves positions past what is no record, so that a partition's end reads as lag 0.
    fn step_past_ends(&mut self) -> anyhow::Result<()> {
        let read = self.member.position()?;
        for element in read.elements() {
            let Some(kind) = TopicKind::of(&self.topics, element.topic()) else { continue };
            let Some(read_to) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
            if !self.has_room() || self.ownership.is_contested() {
                break;
            }
            let partition = self.partitions.get_mut(&(kind, element.partition()));
            if let Some(partition) = partition
                && let Some(step) = partition.take_step(read_to)
            {
                let (epoch, handle) = (partition.epoch, partition.handle.clone());
                self.spawn(step, epoch, handle);
            }
        }
        Ok(())
    }

    /// Notes how far the consumer is, logs it from time to time, and says whether that is far enough.
    pub(crate) async fn has_reached(&mut self, end_offsets: Option<&EndOffsets>) -> anyhow::Result<bool> {
        let positions = self.partitions.iter().map(|(place, partition)| (*place, partition.position));
        self.progress.note(self.summary.total(), positions);
        let report = self.progress.is_due();
        if report {
            self.log_newer();
        }
        let Some(end_offsets) = end_offsets else { return Ok(false) };
        let Some(positions) = self.positions().await? else { return Ok(false) };
        let behind: Vec<_> = end_offsets.behind(&positions).collect();
        if let Some((place, position, end)) = behind.first().filter(|_| report) {
            tracing::info!(
                topic = place.topic,
                partition = place.partition,
                position,
                end,
                "not caught up yet; a producer's open transaction may hold records back"
            );
        }
        self.check_newer(&behind)?;
        if !behind.is_empty() {
            return Ok(false);
        }
        match self.stays_caught_up(&positions).await {
            Err(error) if db_error::is_transient(&error) => {
                self.context.outage.log(&error);
                Ok(false)
            }
            checked => checked,
        }
    }

    /// Whether positions that have reached the goal stay there: an operator's reset may still move them, and
    /// one beyond its partition's end is no position at all.
    async fn stays_caught_up(&mut self, positions: &Positions) -> anyhow::Result<bool> {
        if self.ownership.is_contested() {
            return Ok(false);
        }
        let seen = self.ownership.probe().read().await?;
        if !self.ownership.may_apply(&seen)? {
            return Ok(false);
        }
        source_check::check_now(&mut *self.pool.acquire().await?, &self.args.kafka).await?;
        let now = EndOffsets::measure(&self.args.kafka).await?;
        if offsets::has_reset(&self.member, &now.places()).await? {
            return Ok(false);
        }
        now.check(positions)?;
        Ok(true)
    }

    /// Where all partitions stand; none while the database is away.
    async fn positions(&self) -> anyhow::Result<Option<Positions>> {
        let topics = TopicKind::ALL.map(|kind| kind.topic(&self.topics));
        self.query_with_deadline(positions::read(&self.pool, &topics))
            .await
            .context("can't read the positions")
    }

    /// Asks the database, without waiting for it: the loop has to go on receiving. None while it is away.
    pub(crate) async fn query_with_deadline<T>(
        &self,
        ask: impl Future<Output = sqlx::Result<T>>,
    ) -> anyhow::Result<Option<T>> {
        let error = match timeout(QUERY_TIMEOUT, ask).await {
            Ok(Ok(answer)) => return Ok(Some(answer)),
            Ok(Err(error)) => anyhow::Error::from(error),
            Err(_) => anyhow::Error::from(sqlx::Error::PoolTimedOut),
        };
        if !db_error::is_transient(&error) {
            return Err(error);
        }
        self.context.outage.log(&error);
        Ok(None)
    }
}
