//! The loop of a consumer: it receives records, hands batches over to be applied, and answers the
//! group's rebalances.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::exit::Stop;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use crate::commands::run::args::RunArgs;
use crate::commands::run::background_checks::{BackgroundChecks, CheckEvent};
use crate::commands::run::due::in_due_order;
use crate::commands::run::group_ownership::GroupOwnership;
use crate::commands::run::progress::Progress;
use crate::commands::summary::Summary;
use crate::kafka::context::{Member, Rebalance};
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::group::{self, Joined};
use crate::model::batch::Batch;
use crate::model::batch_handle::BatchHandle;
use crate::model::copy_id::CopyId;
use crate::model::partition::Partition;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::apply::Outcome;
use crate::store::database::Sessions;
use crate::store::dead_letters;
use crate::store::outage::Outage;
use crate::store::retry::BatchContext;

/// How long the batches in flight may take to end once the consumer is to leave. One that is given up
/// is rolled back or not, and its position tells which.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often batches that have waited long enough, partitions' ends and seeks are looked after.
const TICK: Duration = Duration::from_millis(100);

/// A member of the group at work.
pub(crate) struct Consumer {
    pub(crate) args: RunArgs,
    pub(crate) pool: PgPool,
    pub(crate) context: BatchContext,
    pub(crate) topics: Topics,
    pub(crate) member: Arc<Member>,
    changes: UnboundedReceiver<Rebalance>,
    pub(crate) ownership: GroupOwnership,
    checks: BackgroundChecks,
    /// A change that can't be answered yet, because the database is away or the group is another copy's.
    pub(crate) unanswered: Option<Rebalance>,
    pub(crate) partitions: HashMap<(TopicKind, i32), Partition>,
    pub(crate) batches: JoinSet<FinishedBatch>,
    pub(crate) epoch: u64,
    pub(crate) summary: Summary,
    pub(crate) progress: Progress,
}

/// A batch that has ended.
pub(crate) struct FinishedBatch {
    pub(super) place: TopicPartition,
    pub(super) epoch: u64,
    pub(super) to: i64,
    pub(super) outcome: anyhow::Result<Outcome>,
}

impl Consumer {
    pub(super) fn join(
        args: RunArgs,
        (pool, copy): (PgPool, CopyId),
        outage: Arc<Outage>,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let Joined { member, changes, session } = group::join(&args.kafka, &args.group, &copy)?;
        let ownership = GroupOwnership::new(&args, copy, session)?;
        let checks = BackgroundChecks::start(ownership.probe(), pool.clone(), args.kafka.clone());
        let topics = args.kafka.topics();
        let permits = Arc::new(Semaphore::new(args.apply.connections.into()));
        let sessions = Sessions::from_args(&args.database)?;
        let context = BatchContext {
            pool: pool.clone(),
            sessions,
            permits,
            thresholds: args.apply.thresholds(),
            outage,
        };
        Ok(Self {
            args,
            pool,
            context,
            topics,
            member,
            changes,
            ownership,
            checks,
            unanswered: None,
            partitions: HashMap::new(),
            batches: JoinSet::new(),
            epoch: 0,
            summary: Summary::start(),
            progress,
        })
    }

    /// Works until `shutdown` or the end offsets; returns whether it reached those.
    pub(super) async fn work(
        &mut self,
        shutdown: &CancellationToken,
        end_offsets: Option<&EndOffsets>,
    ) -> anyhow::Result<bool> {
        let member = Arc::clone(&self.member);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order: nothing may be done to the assignment while a change of it is unanswered.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(false),
                Some(change) = self.changes.recv(), if self.unanswered.is_none() => {
                    self.answer_or_keep(change).await?;
                    if self.unanswered.is_some() {
                        tracing::info!("a rebalance waits for the database or the group");
                    }
                }
                Some(event) = self.checks.events.recv() => self.handle_check_event(event)?,
                Some(done) = self.batches.join_next() => self.finish(done?)?,
                _ = tick.tick() => {
                    self.answer_again().await?;
                    self.housekeeping().await?;
                    if self.has_reached(end_offsets).await? {
                        return Ok(true);
                    }
                    // A tick that took long must not be followed by the next one at once.
                    tick.reset();
                }
                message = member.recv() => self.receive(message).await?,
            }
        }
    }

    /// Whether another batch may be handed over: one for each connection, and one to be decoded meanwhile.
    pub(crate) fn has_room(&self) -> bool {
        self.batches.len() <= usize::from(self.args.apply.connections)
    }

    /// Hands the next batch of a partition over, if it is due and there is room.
    pub(crate) fn apply_due(&mut self, place: (TopicKind, i32), now: Instant) {
        let batch_size = usize::from(self.args.apply.batch_size);
        if !self.has_room() || self.ownership.is_contested() {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        if partition.is_due(batch_size, now)
            && let Some(batch) = partition.take_batch(batch_size, now)
        {
            let (epoch, handle) = (partition.epoch, partition.handle.clone());
            self.spawn(batch, epoch, handle);
        }
    }

    /// Pauses partitions that are full and resumes those that have room again. Receiving itself never
    /// rests: a member that doesn't receive answers no rebalance, and is dropped from its group.
    pub(crate) fn pause_and_resume(&mut self) -> anyhow::Result<()> {
        for partition in self.partitions.values_mut() {
            match partition.pause_changes() {
                Some(true) => group::pause(&self.member, &partition.place)?,
                Some(false) => group::resume(&self.member, &partition.place)?,
                None => continue,
            }
            partition.paused = !partition.paused;
        }
        Ok(())
    }

    pub(crate) fn spawn(&mut self, batch: Batch, epoch: u64, handle: BatchHandle) {
        let context = self.context.clone();
        self.batches.spawn(async move {
            let outcome = context.apply(&batch, &handle).await;
            if let Ok(Outcome::Applied { dead, .. }) = &outcome {
                dead_letters::log(&batch, dead);
            }
            FinishedBatch { place: batch.place, epoch, to: batch.to, outcome }
        });
    }

    fn handle_check_event(&mut self, event: CheckEvent) -> Result<(), Stop> {
        match event {
            CheckEvent::Group(seen) => self.ownership.may_apply(&seen).map(drop),
            CheckEvent::Refused(stop) => Err(stop),
        }
    }

    /// Hands over what is due, in the order in which it became due.
    pub(crate) fn apply_all_due(&mut self) {
        let now = Instant::now();
        let places = in_due_order(&self.partitions);
        places.into_iter().for_each(|place| self.apply_due(place, now));
    }

    /// Leaves the group, after the batches in flight.
    pub(super) async fn leave(mut self) -> anyhow::Result<Summary> {
        self.partitions.values_mut().for_each(Partition::clear);
        if let Some(change) = self.unanswered.take() {
            group::answer(&self.member, &change)?;
        }
        let deadline = tokio::time::Instant::now() + LEAVE_TIMEOUT;
        let mut ended = Ok(());
        while let Ok(Some(done)) = timeout_at(deadline, self.batches.join_next()).await {
            ended = ended.and(done.map_err(Into::into).and_then(|done| self.record_outcome(done)));
        }
        if !self.batches.is_empty() {
            tracing::warn!(
                batches = self.batches.len(),
                "batches were given up in the middle; positions tell"
            );
        }
        self.batches.abort_all();
        let stands = |partition: &Partition| (partition.place.clone(), partition.position);
        let positions: Vec<_> = self.partitions.values().map(stands).collect();
        self.progress.end();
        group::leave(self.member, self.changes, &positions).await?;
        ended.map(|()| self.summary)
    }
}
