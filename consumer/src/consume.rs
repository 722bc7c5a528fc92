//! The loop of a consumer: it receives records, hands batches over to be applied, and answers the
//! group's rebalances.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::record::Kind;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use rdkafka::consumer::Consumer as _;
use sqlx::PgPool;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use crate::apply::{Outcome, apply};
use crate::batch::{Batch, Place};
use crate::caught_up::{Goal, Positions};
use crate::cli::RunArgs;
use crate::group::{self, Change, Member};
use crate::partition::Partition;
use crate::summary::Summary;
use crate::verdict_log::Keeper;
use crate::{database, positions};

/// How long the batches in flight may take to end once the consumer is to leave. One that is given up
/// is rolled back or not, and its position tells which.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
/// How often batches that have waited long enough, partitions' ends and seeks are looked after.
const SWEEP: Duration = Duration::from_millis(100);
/// How often a line tells how far the consumer is.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Applies records until `shutdown`, or until caught up where that is asked for.
///
/// # Errors
/// The record that can't be read, what the database or Kafka said, or
/// [`catalog_shared::exit::Stop::Guard`].
pub async fn run(args: RunArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    args.kafka.announce()?;
    if args.migrate {
        database::migrate(&args.database).await?;
    }
    let pool = database::open(&args.database, u32::from(args.connections)).await?;
    let goal = if args.until_caught_up { Some(Goal::measure(&args.kafka).await?) } else { None };
    let json = args.json;
    let verdicts = Keeper::start(&args.kafka, &pool, &shutdown).await;
    let mut consumer = Consumer::join(args, pool)?;
    let ended = consumer.work(&shutdown, goal.as_ref()).await;
    let summary = consumer.leave().await;
    verdicts.finish().await;
    let caught_up = ended?;
    summary?.print(json, goal.is_some().then_some(caught_up))
}

/// A member of the group at work.
pub(crate) struct Consumer {
    pub(crate) args: RunArgs,
    pub(crate) pool: PgPool,
    pub(crate) topics: Topics,
    pub(crate) member: Arc<Member>,
    changes: UnboundedReceiver<Change>,
    pub(crate) partitions: HashMap<(Kind, i32), Partition>,
    pub(crate) batches: JoinSet<Done>,
    pub(crate) epoch: u64,
    summary: Summary,
    reported: Instant,
}

/// A batch that has ended.
pub(crate) struct Done {
    place: Place,
    epoch: u64,
    to: i64,
    outcome: anyhow::Result<Outcome>,
}

impl Consumer {
    fn join(args: RunArgs, pool: PgPool) -> anyhow::Result<Self> {
        let (member, changes) = group::join(&args)?;
        let topics = args.kafka.topics();
        Ok(Self {
            args,
            pool,
            topics,
            member,
            changes,
            partitions: HashMap::new(),
            batches: JoinSet::new(),
            epoch: 0,
            summary: Summary::start(),
            reported: Instant::now(),
        })
    }

    /// Works until `shutdown` or the goal; tells whether it is the goal.
    async fn work(&mut self, shutdown: &CancellationToken, goal: Option<&Goal>) -> anyhow::Result<bool> {
        let member = Arc::clone(&self.member);
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order: nothing may be done to the assignment while a change of it is unanswered.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(false),
                Some(change) = self.changes.recv() => self.answer(change).await?,
                Some(done) = self.batches.join_next() => self.finish(done?)?,
                _ = sweep.tick() => {
                    self.sweep().await?;
                    if self.has_reached(goal).await? {
                        return Ok(true);
                    }
                }
                message = member.recv() => self.receive(message)?,
            }
        }
    }

    /// Hands the next batch of a partition over, if it is due and a connection is free.
    pub(crate) fn apply_due(&mut self, place: (Kind, i32), now: Instant) {
        let batch_size = usize::from(self.args.batch_size);
        if self.batches.len() >= usize::from(self.args.connections) {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        if partition.is_due(batch_size, now)
            && let Some(batch) = partition.take_batch(batch_size, now)
        {
            let epoch = partition.epoch;
            self.spawn(batch, epoch);
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

    fn spawn(&mut self, batch: Batch, epoch: u64) {
        let (pool, limits) = (self.pool.clone(), self.args.limits);
        self.batches.spawn(async move {
            let outcome = apply(&pool, &batch, limits).await;
            Done { place: batch.place, epoch, to: batch.to, outcome }
        });
    }

    fn finish(&mut self, done: Done) -> anyhow::Result<()> {
        self.settle(done)?;
        self.apply_all_due();
        self.pause_and_resume()
    }

    /// Enters what came of a batch.
    pub(crate) fn settle(&mut self, done: Done) -> anyhow::Result<()> {
        let Done { place, epoch, to, outcome } = done;
        let partition = self.partitions.get_mut(&(place.kind, place.partition));
        let partition = partition.filter(|partition| partition.epoch == epoch);
        match outcome? {
            Outcome::Applied { records, verdicts } => {
                tracing::debug!(
                    topic = place.topic,
                    partition = place.partition,
                    to,
                    records = records.len(),
                    "batch applied"
                );
                self.summary.add(place.kind, &records, verdicts);
                if let Some(partition) = partition {
                    partition.applied(to);
                    group::commit(&self.member, &[(place, to)])?;
                }
            }
            Outcome::Stale { position } => {
                tracing::info!(
                    topic = place.topic,
                    partition = place.partition,
                    position,
                    "another consumer has moved the position; going on from there"
                );
                if let Some(partition) = partition {
                    partition.restart(position);
                }
            }
        }
        Ok(())
    }

    fn apply_all_due(&mut self) {
        let now = Instant::now();
        let places: Vec<_> = self.partitions.keys().copied().collect();
        places.into_iter().for_each(|place| self.apply_due(place, now));
    }

    async fn sweep(&mut self) -> anyhow::Result<()> {
        for partition in self.partitions.values_mut() {
            if let Some(offset) = partition.seek_to {
                match group::seek(&self.member, &partition.place, offset).await {
                    Ok(()) => partition.seek_to = None,
                    // It may be on its way to another member; if not, the next sweep tries again.
                    Err(error) => tracing::debug!(%error, "seeking"),
                }
            }
        }
        self.apply_all_due();
        self.pause_and_resume()?;
        self.step_past_ends()
    }

    /// Moves positions past what is no record, so that a partition's end reads as lag 0.
    fn step_past_ends(&mut self) -> anyhow::Result<()> {
        let read = self.member.position()?;
        for element in read.elements() {
            let Some(kind) = self.topics.kind(element.topic()) else { continue };
            let Some(read_to) = element.offset().to_raw().filter(|offset| *offset >= 0) else { continue };
            if self.batches.len() >= usize::from(self.args.connections) {
                break;
            }
            let partition = self.partitions.get_mut(&(kind, element.partition()));
            if let Some(partition) = partition
                && let Some(step) = partition.take_step(read_to)
            {
                let epoch = partition.epoch;
                self.spawn(step, epoch);
            }
        }
        Ok(())
    }

    /// Tells from time to time how far the consumer is, and whether that is far enough.
    async fn has_reached(&mut self, goal: Option<&Goal>) -> anyhow::Result<bool> {
        let report = self.reported.elapsed() >= REPORT_EVERY;
        if report {
            self.reported = Instant::now();
            tracing::info!(
                applied = self.summary.total(),
                partitions = self.partitions.len(),
                "consumed so far"
            );
        }
        let Some(goal) = goal else { return Ok(false) };
        let positions = positions::read(&self.pool, &self.data_topics()).await?;
        let behind = goal.behind(&positions);
        if let Some((place, position, end)) = behind.filter(|_| report) {
            tracing::info!(
                topic = place.topic,
                partition = place.partition,
                position,
                end,
                "not caught up yet; a producer's open transaction may hold records back"
            );
        }
        Ok(behind.is_none() && self.is_settled(&positions).await?)
    }

    /// Whether positions that look as if they had caught up mean it: an operator's reset would still move
    /// them, and one beyond its partition's end is no position at all.
    async fn is_settled(&self, positions: &Positions) -> anyhow::Result<bool> {
        let now = Goal::measure(&self.args.kafka).await?;
        if group::has_reset(&self.member, &now.places()).await? {
            return Ok(false);
        }
        now.check(positions)?;
        Ok(true)
    }

    fn data_topics(&self) -> [String; 4] {
        Kind::ALL.map(|kind| self.topics.data(kind))
    }

    /// Leaves the group, after the batches in flight.
    async fn leave(mut self) -> anyhow::Result<Summary> {
        self.partitions.values_mut().for_each(Partition::clear);
        let deadline = tokio::time::Instant::now() + LEAVE_PATIENCE;
        let mut settled = Ok(());
        while let Ok(Some(done)) = timeout_at(deadline, self.batches.join_next()).await {
            settled = settled.and(done.map_err(Into::into).and_then(|done| self.settle(done)));
        }
        self.batches.abort_all();
        let stands = |partition: &Partition| (partition.place.clone(), partition.position);
        let positions: Vec<_> = self.partitions.values().map(stands).collect();
        group::leave(self.member, self.changes, &positions).await?;
        settled.map(|()| self.summary)
    }
}
