//! The loop of a consumer: it receives records, hands batches over to be applied, and answers the
//! group's rebalances.

pub(crate) mod beginning;
pub(crate) mod caught_up;
pub(crate) mod copies;
pub(crate) mod due;
pub(crate) mod group;
pub(crate) mod missing;
pub(crate) mod newer;
pub(crate) mod offsets;
pub(crate) mod partition;
pub(crate) mod prepare;
pub(crate) mod progress;
pub(crate) mod reader;
pub(crate) mod rebalance;
pub(crate) mod receive;
pub(crate) mod received;
pub(crate) mod settle;
pub(crate) mod start;
pub(crate) mod summary;
pub(crate) mod sweep;
pub(crate) mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::exit::Stop;
use catalog_shared::screen::Screen;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::topics::Topics;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use crate::apply::Outcome;
use crate::apply::dead_letters;
use crate::apply::outage::Outage;
use crate::apply::patience::{Means, Thread};
use crate::batch::{Batch, Place, TopicKind};
use crate::binding::home::Home;
use crate::books::verdict_log::Keeper;
use crate::cli::RunArgs;
use crate::consume::caught_up::Goal;
use crate::consume::copies::Copies;
use crate::consume::due::in_due_order;
use crate::consume::group::{Change, Joined, Member};
use crate::consume::partition::Partition;
use crate::consume::prepare::{Prepared, prepare};
use crate::consume::progress::Progress;
use crate::consume::summary::Summary;
use crate::consume::watch::{Watch, WatchEvent};
use crate::database::Sessions;
use crate::dry_run;

/// How long the batches in flight may take to end once the consumer is to leave. One that is given up
/// is rolled back or not, and its position tells which.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
/// How often batches that have waited long enough, partitions' ends and seeks are looked after.
const SWEEP: Duration = Duration::from_millis(100);

/// Applies records until `shutdown`, or until caught up where that is asked for.
///
/// # Errors
/// The record that can't be read, what the database or Kafka said, or
/// [`catalog_shared::exit::Stop::Guard`].
pub async fn run(args: RunArgs, screen: &Screen, shutdown: CancellationToken) -> anyhow::Result<()> {
    args.kafka.announce()?;
    if args.dry_run {
        return dry_run::run(&args, &shutdown).await;
    }
    let outage = Arc::new(Outage::default());
    let Some(Prepared { pool, home, goal }) = prepare(&args, &outage, &shutdown).await? else {
        return finish(&Summary::start(), args.json, args.until_caught_up.then_some(false));
    };
    let json = args.json;
    let _watch = (!args.until_caught_up).then(|| missing::watch(&args.kafka));
    let verdicts = Keeper::start(&args.kafka, &pool, &shutdown).await;
    let progress = Progress::start(screen, &args.kafka);
    let mut consumer = Consumer::join(args, (pool, home), outage, progress)?;
    let ended = consumer.work(&shutdown, goal.as_ref()).await;
    let summary = consumer.leave().await;
    verdicts.finish().await;
    let caught_up = ended?;
    finish(&summary?, json, goal.is_some().then_some(caught_up))
}

/// Prints the summary. Stopping a service by a signal is its regular end; stopping it on its way to a goal is not.
fn finish(summary: &Summary, json: bool, caught_up: Option<bool>) -> anyhow::Result<()> {
    if caught_up == Some(false) {
        let error = Stop::Interrupted("not caught up; the next start goes on from there".to_owned());
        return Err(summary.print_failure(json, (caught_up, false), error.into()));
    }
    summary.print(json, caught_up)
}

/// A member of the group at work.
pub(crate) struct Consumer {
    pub(crate) args: RunArgs,
    pub(crate) pool: PgPool,
    pub(crate) means: Means,
    pub(crate) topics: Topics,
    pub(crate) member: Arc<Member>,
    changes: UnboundedReceiver<Change>,
    pub(crate) copies: Copies,
    watch: Watch,
    /// A change that can't be answered yet, because the database is away or the group is another copy's.
    pub(crate) unanswered: Option<Change>,
    pub(crate) partitions: HashMap<(TopicKind, i32), Partition>,
    pub(crate) batches: JoinSet<Done>,
    pub(crate) epoch: u64,
    pub(crate) summary: Summary,
    pub(crate) progress: Progress,
}

/// A batch that has ended.
pub(crate) struct Done {
    place: Place,
    epoch: u64,
    to: i64,
    outcome: anyhow::Result<Outcome>,
}

impl Consumer {
    fn join(
        args: RunArgs,
        (pool, home): (PgPool, Home),
        outage: Arc<Outage>,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let Joined { member, changes, session } = group::join(&args, &home)?;
        let copies = Copies::new(&args, home, session)?;
        let watch = Watch::start(copies.probe(), pool.clone(), args.kafka.clone());
        let topics = args.kafka.topics();
        let turns = Arc::new(Semaphore::new(args.apply.connections.into()));
        let sessions = Sessions::of(&args.database)?;
        let means = Means { pool: pool.clone(), sessions, turns, bounds: args.apply.bounds(), outage };
        Ok(Self {
            args,
            pool,
            means,
            topics,
            member,
            changes,
            copies,
            watch,
            unanswered: None,
            partitions: HashMap::new(),
            batches: JoinSet::new(),
            epoch: 0,
            summary: Summary::start(),
            progress,
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
                Some(change) = self.changes.recv(), if self.unanswered.is_none() => {
                    self.answer_or_keep(change).await?;
                    if self.unanswered.is_some() {
                        tracing::info!("a rebalance waits for the database or the group");
                    }
                }
                Some(event) = self.watch.events.recv() => self.handle_watch_event(event)?,
                Some(done) = self.batches.join_next() => self.finish(done?)?,
                _ = sweep.tick() => {
                    self.answer_again().await?;
                    self.sweep().await?;
                    if self.has_reached(goal).await? {
                        return Ok(true);
                    }
                    // A sweep that took long must not be followed by the next one at once.
                    sweep.reset();
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
        if !self.has_room() || self.copies.is_contested() {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&place) else { return };
        if partition.is_due(batch_size, now)
            && let Some(batch) = partition.take_batch(batch_size, now)
        {
            let (epoch, thread) = (partition.epoch, partition.thread.clone());
            self.spawn(batch, epoch, thread);
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

    pub(crate) fn spawn(&mut self, batch: Batch, epoch: u64, thread: Thread) {
        let means = self.means.clone();
        self.batches.spawn(async move {
            let outcome = means.apply(&batch, &thread).await;
            if let Ok(Outcome::Applied { dead, .. }) = &outcome {
                dead_letters::tell(&batch, dead);
            }
            Done { place: batch.place, epoch, to: batch.to, outcome }
        });
    }

    fn handle_watch_event(&mut self, event: WatchEvent) -> Result<(), Stop> {
        match event {
            WatchEvent::Group(seen) => self.copies.may_apply(&seen).map(drop),
            WatchEvent::Refused(stop) => Err(stop),
        }
    }

    /// Hands over what is due, in the order in which it became due.
    pub(crate) fn apply_all_due(&mut self) {
        let now = Instant::now();
        let places = in_due_order(&self.partitions);
        places.into_iter().for_each(|place| self.apply_due(place, now));
    }

    /// Leaves the group, after the batches in flight.
    async fn leave(mut self) -> anyhow::Result<Summary> {
        self.partitions.values_mut().for_each(Partition::clear);
        if let Some(change) = self.unanswered.take() {
            group::answer(&self.member, &change)?;
        }
        let deadline = tokio::time::Instant::now() + LEAVE_PATIENCE;
        let mut settled = Ok(());
        while let Ok(Some(done)) = timeout_at(deadline, self.batches.join_next()).await {
            settled = settled.and(done.map_err(Into::into).and_then(|done| self.settle(done)));
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
        settled.map(|()| self.summary)
    }
}
