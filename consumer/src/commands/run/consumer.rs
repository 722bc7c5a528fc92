//! The loop of a consumer: it buffers received records, starts a task for each batch, and answers the group's
//! rebalances. A separate thread polls Kafka (`kafka::polling`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::DropGuard;

use crate::commands::run::args::RunArgs;
use crate::commands::run::background_checks::{BackgroundChecks, CheckEvent};
use crate::commands::run::due::in_due_order;
use crate::commands::run::group_ownership::GroupOwnership;
use crate::commands::run::monitoring::Monitor;
use crate::commands::run::progress::Progress;
use crate::commands::run::readiness::Readiness;
use crate::commands::summary::Summary;
use crate::config::thresholds::{AnswerLimits, BatchSettings};
use crate::kafka::context::{Member, Rebalance};
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::group::{self, Joined};
use crate::kafka::polling::PollingMember;
use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::model::copy_id::CopyId;
use crate::model::partition::Partition;
use crate::model::topic::{PartitionId, TopicPartition};
use crate::store::apply::Outcome;
use crate::store::database::Sessions;
use crate::store::outage::Outage;
use crate::store::published_decisions::PublishedDecisions;
use crate::store::retry::BatchContext;

/// Shutdown timeout for the batches in flight. An abandoned batch may or may not commit; the stored position shows which.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often housekeeping runs.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(100);

/// A running member of the group.
pub(crate) struct Consumer {
    pub(crate) args: RunArgs,
    pub(crate) pool: PgPool,
    pub(crate) context: BatchContext,
    pub(crate) topics: Topics,
    pub(crate) member: Arc<Member>,
    pub(crate) polling: PollingMember,
    changes: UnboundedReceiver<Rebalance>,
    pub(crate) ownership: GroupOwnership,
    checks: BackgroundChecks,
    /// A postponed change, because the database is unreachable or the group belongs to another copy.
    pub(crate) postponed: Option<Rebalance>,
    pub(super) readiness: Readiness,
    pub(crate) partitions: HashMap<PartitionId, Partition>,
    pub(crate) batches: JoinSet<FinishedBatch>,
    /// The last epoch of an assignment or a seek.
    pub(crate) epoch: u64,
    /// When the positions were last compared with the stored ones.
    pub(super) positions_checked: Instant,
    /// When Kafka may be asked again whether the end is reached.
    pub(super) end_check_after: Instant,
    pub(crate) summary: Summary,
    pub(crate) progress: Progress,
    pub(crate) monitor: Monitor,
    _monitoring: DropGuard,
}

/// The tables that the consumer fills.
pub(super) struct Tables {
    pub(super) pool: PgPool,
    pub(super) copy: CopyId,
    pub(super) published: Arc<PublishedDecisions>,
}

/// What a consumer leaves. The summary is valid even if something fails at the end.
pub(super) struct Left {
    pub(super) summary: Summary,
    /// How the last batches ended.
    pub(super) batches: anyhow::Result<()>,
    /// Whether it left the group.
    pub(super) left: anyhow::Result<()>,
}

/// A batch that has ended.
pub(crate) struct FinishedBatch {
    pub(super) topic_partition: TopicPartition,
    pub(super) epoch: u64,
    pub(super) to: i64,
    pub(super) outcome: anyhow::Result<Outcome>,
}

fn batch_context(args: &RunArgs, tables: Tables, outage: Arc<Outage>) -> anyhow::Result<BatchContext> {
    let Tables { pool, published, .. } = tables;
    Ok(BatchContext {
        pool,
        sessions: Sessions::from_args(&args.database)?,
        permits: Arc::new(Semaphore::new(args.apply.connections.into())),
        settings: BatchSettings {
            limits: AnswerLimits::with_stall_timeout(args.stall_timeout),
            ..args.apply.batch_settings()
        },
        outage,
        published,
    })
}

impl Consumer {
    pub(super) fn join(
        args: RunArgs,
        tables: Tables,
        outage: Arc<Outage>,
        progress: Progress,
        monitor: Monitor,
    ) -> anyhow::Result<Self> {
        let (pool, copy) = (tables.pool.clone(), tables.copy.clone());
        let monitoring = monitor.join(&args, &pool);
        let Joined { member, polling, changes, session } = group::join(&args.kafka, &args.group, &copy)?;
        let ownership = GroupOwnership::new(&args, copy, session)?;
        let checks = BackgroundChecks::start(ownership.probe(), pool.clone(), &args.kafka, monitor.clone());
        let context = batch_context(&args, tables, outage)?;
        Ok(Self {
            topics: args.kafka.topics(),
            args,
            pool,
            context,
            member,
            polling,
            changes,
            ownership,
            checks,
            postponed: None,
            readiness: Readiness::new(),
            partitions: HashMap::new(),
            batches: JoinSet::new(),
            epoch: 0,
            positions_checked: Instant::now(),
            end_check_after: Instant::now(),
            summary: Summary::start(),
            progress,
            monitor,
            _monitoring: monitoring,
        })
    }

    /// Runs until `shutdown` or the end offsets; returns whether it reached the end offsets.
    pub(super) async fn work(
        &mut self,
        shutdown: &CancellationToken,
        end_offsets: Option<&EndOffsets>,
    ) -> anyhow::Result<bool> {
        let mut tick = interval(HOUSEKEEPING_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order, so that a change of the assignment is answered before anything else is done.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(false),
                Some(change) = self.changes.recv(), if self.postponed.is_none() => {
                    self.handle_change(change).await?;
                    if self.postponed.is_some() {
                        tracing::info!(event = events::REBALANCE_WAITS, "a rebalance waits for the database, the group or the partitions' leaders");
                    }
                }
                Some(event) = self.checks.events.recv() => self.handle_check_event(event)?,
                Some(done) = self.batches.join_next() => self.finish(done?)?,
                _ = tick.tick() => {
                    self.retry_postponed().await?;
                    self.housekeeping().await?;
                    match shutdown.run_until_cancelled(self.has_reached(end_offsets)).await {
                        Some(Ok(false)) => {}
                        Some(reached) => return reached,
                        None => return Ok(false),
                    }
                    // After a long tick, the next one must not follow immediately.
                    tick.reset();
                }
                received = self.polling.recv(), if self.may_buffer_more() => self.receive(received?).await?,
            }
        }
    }

    /// Whether another batch may start: one for each connection, and one that is decoded meanwhile.
    pub(crate) fn may_start_batch(&self) -> bool {
        self.batches.len() < usize::from(self.args.apply.connections) + 1
    }

    /// Starts the next batch of a partition, if it is due and there is room.
    pub(crate) fn apply_due(&mut self, id: PartitionId, now: Instant) {
        let batch_size = usize::from(self.args.apply.batch_size);
        if !self.may_start_batch() || self.ownership.is_contested() {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if partition.is_due(batch_size, now)
            && let Some(batch) = partition.take_batch(batch_size, now)
        {
            let (epoch, handle) = (partition.epoch, partition.handle.clone());
            self.spawn(batch, epoch, handle);
        }
    }

    /// Pauses partitions that are full and resumes those that have room again.
    pub(crate) fn pause_and_resume(&mut self) {
        for partition in self.partitions.values_mut() {
            if let Some(pause) = partition.pause_changes() {
                self.polling.pause(&partition.topic_partition, pause);
                partition.paused = pause;
            }
        }
    }

    pub(crate) fn spawn(&mut self, batch: Batch, epoch: u64, handle: BatchHandle) {
        let context = self.context.clone();
        self.batches.spawn(async move {
            let outcome = context.apply(&batch, &handle).await;
            FinishedBatch { topic_partition: batch.topic_partition, epoch, to: batch.to, outcome }
        });
    }

    fn handle_check_event(&mut self, event: CheckEvent) -> Result<(), Stop> {
        match event {
            CheckEvent::Group(seen) => self.ownership.may_apply(&seen).map(drop),
            CheckEvent::Refused(stop) => Err(stop),
        }
    }

    /// Starts the batches that are due, in the order in which they became due.
    pub(crate) fn apply_all_due(&mut self) {
        let now = Instant::now();
        in_due_order(&self.partitions).into_iter().for_each(|id| self.apply_due(id, now));
    }

    /// Leaves the group, after the batches in flight.
    pub(super) async fn leave(mut self) -> Left {
        let batches = self.end_batches().await;
        let position = |partition: &Partition| (partition.topic_partition.clone(), partition.position);
        let positions = self.partitions.values().map(position).collect();
        self.progress.end();
        // The polling thread drops the last reference, because that waits for the group.
        drop(self.member);
        let left = self.polling.leave(self.changes, positions).await;
        Left { summary: self.summary, batches, left }
    }

    /// Waits for the batches in flight, and starts no more.
    async fn end_batches(&mut self) -> anyhow::Result<()> {
        self.partitions.values_mut().for_each(Partition::clear);
        if let Some(change) = self.postponed.take() {
            self.polling.acknowledge(change).await?;
        }
        let deadline = tokio::time::Instant::now() + LEAVE_TIMEOUT;
        let mut ended = Ok(());
        while let Ok(Some(done)) = timeout_at(deadline, self.batches.join_next()).await {
            ended = ended.and(done.map_err(Into::into).and_then(|done| self.record_outcome(done)));
        }
        if !self.batches.is_empty() {
            tracing::warn!(
                event = events::BATCHES_ABANDONED,
                batches = self.batches.len(),
                "batches were abandoned; their stored positions show whether they were applied"
            );
        }
        self.batches.abort_all();
        ended
    }
}
