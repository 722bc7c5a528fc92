//! The housekeeping tick, ten times a second: pending seeks, due batches, the ends of partitions, and whether the consumer has
//! caught up.

use std::time::{Duration, Instant};

use anyhow::Context;
use catalog_shared::events;
use tokio::time::timeout;

use crate::commands::run::consumer::Consumer;
use crate::commands::run::monitoring::{LoopState, WaitCause};
use crate::config::thresholds::AnswerLimits;
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::{errors, offsets};
use crate::model::positions::Positions;
use crate::model::topic::TopicKind;
use crate::store::answer_limit::within;
use crate::store::{db_error, positions};
use crate::sync::source_check;

/// How long the loop may wait for the database, because rebalances and records wait meanwhile.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between two comparisons of the positions with the stored ones.
const POSITIONS_EVERY: Duration = Duration::from_secs(10);
/// Delay before the end is checked again if Kafka did not answer.
const END_CHECK_DELAY: Duration = Duration::from_secs(1);

impl Consumer {
    pub(crate) async fn housekeeping(&mut self) -> anyhow::Result<()> {
        if self.ownership.is_contested() && self.ownership.may_retry() {
            self.check_group().await?;
        }
        self.seek().await;
        self.apply_all_due();
        self.pause_and_resume();
        self.skip_transaction_ends();
        self.observe();
        self.check_positions().await
    }

    /// Records what the loop sees for monitoring.
    pub(crate) fn observe(&self) {
        let seen = LoopState {
            is_contested: self.ownership.is_contested(),
            may_buffer_more: self.may_buffer_more(),
        };
        self.monitor.observe(self.partitions.values(), seen);
    }

    /// Compares the positions of idle partitions with the stored ones. A busy partition notices the difference at its next
    /// batch, but a server that lost its last commits, in a crash or a failover, may leave an idle one without any.
    async fn check_positions(&mut self) -> anyhow::Result<()> {
        if self.positions_checked.elapsed() < POSITIONS_EVERY {
            return Ok(());
        }
        self.positions_checked = Instant::now();
        // No batch can start or end while this waits, because only this loop starts and finishes them.
        let Some(stored) = self.positions().await? else { return Ok(()) };
        for partition in self.partitions.values_mut().filter(|partition| partition.is_idle()) {
            let other = stored.get(&partition.topic_partition).filter(|stored| *stored != partition.position);
            if other.is_some_and(|position| partition.resume_from(position)) {
                self.context.published.recheck();
            }
        }
        Ok(())
    }

    /// Moves partitions whose position another consumer has changed.
    async fn seek(&mut self) {
        for partition in self.partitions.values_mut() {
            let Some(offset) = partition.seek_to else { continue };
            self.epoch += 1;
            self.monitor.begin_wait(WaitCause::Kafka);
            let sought = self.polling.seek(&partition.topic_partition, offset, self.epoch).await;
            self.monitor.end_wait_for(partition.topic_partition.id());
            match sought {
                Ok(()) => partition.seek_done(self.epoch),
                // The partition may be about to be revoked. If not, the next tick retries the seek.
                Err(error) => tracing::debug!(error = format!("{error:#}"), "seeking"),
            }
        }
    }

    /// Checks whether the group belongs to this copy now. Nothing changes if Kafka does not answer.
    async fn check_group(&mut self) -> anyhow::Result<()> {
        self.monitor.begin_wait(WaitCause::Kafka);
        let read = self.ownership.probe().read().await;
        self.monitor.end_wait();
        match read {
            Ok(seen) => self.ownership.may_apply(&seen)?,
            Err(error) if errors::is_retried(&error) => {
                tracing::warn!(
                    event = events::GROUP_UNREADABLE,
                    error = format!("{error:#}"),
                    "can't read the group, which another copy of the tables uses; retrying"
                );
                self.ownership.retry_later();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Moves positions past the ends of transactions, so that the lag is 0 at the end of a partition.
    fn skip_transaction_ends(&mut self) {
        let topic_partitions: Vec<_> = self.partitions.keys().copied().collect();
        for topic_partition in topic_partitions {
            if !self.may_start_batch() || self.ownership.is_contested() {
                break;
            }
            let Some(partition) = self.partitions.get_mut(&topic_partition) else { continue };
            if let Some(step) = partition.skip_to_end_of_received() {
                let (epoch, handle) = (partition.epoch, partition.handle.clone());
                self.spawn(step, epoch, handle);
            }
        }
    }

    /// Updates and periodically logs the progress. Returns whether the end offsets are reached.
    pub(crate) async fn has_reached(&mut self, end_offsets: Option<&EndOffsets>) -> anyhow::Result<bool> {
        let positions =
            self.partitions.iter().map(|(topic_partition, partition)| (*topic_partition, partition.position));
        self.progress.record(self.summary.total(), positions.collect(), self.monitor.ends());
        let report = self.progress.is_due();
        if report {
            self.log_newer();
        }
        let Some(end_offsets) = end_offsets else { return Ok(false) };
        let Some(positions) = self.positions().await? else { return Ok(false) };
        let behind: Vec<_> = end_offsets.behind(&positions).collect();
        if let Some((topic_partition, position, end)) = behind.first().filter(|_| report) {
            tracing::info!(
                event = events::OPEN_TRANSACTION,
                topic = topic_partition.topic,
                partition = topic_partition.partition,
                position,
                end,
                "not at the end yet; an open transaction of a producer may block records"
            );
        }
        self.check_newer(&behind)?;
        if !behind.is_empty() || Instant::now() < self.end_check_after {
            return Ok(false);
        }
        self.monitor.begin_wait(WaitCause::Kafka);
        let checked = within(AnswerLimits::DEFAULT.rows, self.stays_caught_up(&positions)).await;
        self.monitor.end_wait();
        match checked {
            Err(error) if db_error::is_transient(&error) => {
                self.context.outage.log(&error);
                Ok(false)
            }
            Err(error) if errors::is_retried(&error) => {
                self.end_check_failed(&error);
                Ok(false)
            }
            checked => checked,
        }
    }

    /// Kafka did not answer the last questions. They are asked again later, because the records stay applied.
    fn end_check_failed(&mut self, error: &anyhow::Error) {
        self.end_check_after = Instant::now() + END_CHECK_DELAY;
        tracing::warn!(
            event = events::END_CHECK_RETRIED,
            error = format!("{error:#}"),
            "can't check that all records are applied, retrying"
        );
    }

    /// Whether positions that have reached the end offsets count. An operator's reset may still move them, and one beyond
    /// the end of its partition is invalid.
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
        if offsets::has_reset(&self.member, &now.topic_partitions()).await? {
            return Ok(false);
        }
        now.check(positions)?;
        // A program that ends with success must not lose its last commits in a crash.
        positions::make_durable(&self.pool, positions).await?;
        Ok(true)
    }

    /// The positions of all partitions; `None` while the database is unreachable.
    async fn positions(&self) -> anyhow::Result<Option<Positions>> {
        let topics = TopicKind::ALL.map(|kind| kind.topic(&self.topics));
        self.query_with_deadline(positions::read(&self.pool, &topics))
            .await
            .context("can't read the positions")
    }

    /// Queries the database with a deadline. `None` while it is unreachable.
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
