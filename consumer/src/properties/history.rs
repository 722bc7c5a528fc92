//! Histories: a log is applied to tables while crashes, replays and decisions happen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use anyhow::{Context, Result, ensure};
use catalog_shared::decision::LedgerState;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use futures::future::try_join_all;
use proptest::sample::Index;
use tokio::sync::Semaphore;

use super::generate::{Deed, Drain, Next, Step};
use super::log::{Log, Spot, domain, topic_partition};
use super::tables::Tables;
use crate::config::thresholds::{AnswerLimits, BatchSettings, DeadLetterThresholds, RunThresholds};
use crate::model::batch::Batch;
use crate::model::stages::Stages;
use crate::model::start::CommittedOffset;
use crate::store::apply::{Outcome, apply};
use crate::store::ledger::decisions::{RetirementCounts, RunId};
use crate::store::ledger::manual_decisions::{self, Affected, Change};
use crate::store::positions;
use crate::store::published_decisions::PublishedDecisions;
use crate::store::schema_lock::{LockMode, lock};

/// A log that is being applied to tables.
pub(super) struct History<'a> {
    log: &'a Log,
    tables: &'a Tables,
    spots: Vec<Spot>,
    bounds: BatchSettings,
    /// The position of each partition as each of several consumers last saw it.
    views: RefCell<BTreeMap<(u8, Spot), i64>>,
    /// The manual decisions that were not undone. Lifting a shield of a balanced run leaves it balanced.
    decided: RefCell<BTreeMap<(Region, u32), LedgerState>>,
}

impl<'a> History<'a> {
    /// Starts without positions. The first use of a partition reads or creates its position.
    pub(super) fn begin(log: &'a Log, tables: &'a Tables, strict: bool) -> Self {
        let runs = if strict {
            RunThresholds { max_retire_share: 0.2, min_seen_share: 0.95, confirm_after: 3, large_domain: 2 }
        } else {
            RunThresholds { max_retire_share: 1.0, min_seen_share: 0.0, confirm_after: 2, large_domain: 2 }
        };
        Self::within(log, tables, runs)
    }

    /// Like [`History::begin`], with other thresholds for runs.
    pub(super) fn within(log: &'a Log, tables: &'a Tables, runs: RunThresholds) -> Self {
        // Any number of dead letters is allowed.
        let dead = DeadLetterThresholds { share: 1.0, in_row: u32::MAX };
        let bounds = BatchSettings { dead, runs, synchronous_commit: false, limits: AnswerLimits::DEFAULT };
        let spots = log.spots();
        Self { log, tables, spots, bounds, views: RefCell::default(), decided: RefCell::default() }
    }

    /// Plays the steps, and runs the check at checkpoints and during replays.
    pub(super) async fn play(&self, steps: &[Step], check: &impl AsyncFn(&Self) -> Result<()>) -> Result<()> {
        for step in steps {
            self.step(step).await.with_context(|| format!("at {step:?}"))?;
            if matches!(step, Step::Look | Step::Rewind(..)) {
                check(self).await.with_context(|| format!("at {step:?}"))?;
            }
        }
        Ok(())
    }

    async fn step(&self, step: &Step) -> Result<()> {
        // A log without any record has no partition to apply.
        if self.spots.is_empty() && !matches!(step, Step::Look | Step::Decide(..)) {
            return Ok(());
        }
        match step {
            Step::Apply(next) => self.apply(&self.batch(next).await?).await,
            Step::Together(all) => self.together(all).await,
            Step::Crash(next, polls) => self.crash(next, *polls).await,
            Step::Session(member, next) => self.session(*member, next).await,
            Step::Zombie(next, from) => self.zombie(next, from).await,
            Step::Rewind(next, to) => self.rewind(next, to).await,
            Step::Look => Ok(()),
            Step::Decide(run, deed) => self.decide(run, *deed).await,
        }
    }

    /// Applies the rest of the log, one batch per partition in turn.
    pub(super) async fn drain(&self, drain: &Drain) -> Result<()> {
        // A history without any record has no partition to start with.
        if self.spots.is_empty() {
            return Ok(());
        }
        self.drain_from(drain.first.index(self.spots.len()), drain.batch).await
    }

    /// Like [`History::drain`], starting with the partition of this index.
    pub(super) async fn drain_from(&self, first: usize, batch: usize) -> Result<()> {
        for spot in &self.spots {
            self.position(*spot).await?;
        }
        loop {
            let positions = self.tables.positions().await?;
            let mut spots: Vec<Spot> = [&self.spots[first..], &self.spots[..first]].concat();
            spots.retain(|spot| positions[spot].0 < self.log.ends[spot]);
            if spots.is_empty() {
                return Ok(());
            }
            for spot in spots {
                self.apply(&self.log.batch(spot, positions[&spot].0, batch)).await?;
            }
        }
    }

    /// The offset of each partition before which everything was applied.
    pub(super) async fn delivered(&self) -> Result<BTreeMap<Spot, i64>> {
        let positions = self.tables.positions().await?;
        Ok(positions.into_iter().map(|(spot, (_, counted_to))| (spot, counted_to)).collect())
    }

    /// The position of a partition, and the offset up to which the ledger counts it.
    async fn position(&self, spot: Spot) -> Result<(i64, i64)> {
        positions::start(&self.tables.pool, &topic_partition(spot), None, 0).await?;
        let positions = self.tables.positions().await?;
        positions.get(&spot).copied().with_context(|| format!("{spot:?} is not among {positions:?}"))
    }

    async fn batch(&self, Next { index, count }: &Next) -> Result<Batch> {
        let spot = *index.get(&self.spots);
        let (position, _) = self.position(spot).await?;
        Ok(self.log.batch(spot, position, *count))
    }

    async fn try_apply(&self, batch: &Batch) -> Result<Outcome> {
        apply(
            &self.tables.pool,
            &Semaphore::new(1),
            batch,
            self.bounds,
            &Stages::default(),
            &PublishedDecisions::default(),
        )
        .await
        .map_err(|failure| failure.error)
    }

    async fn apply(&self, batch: &Batch) -> Result<()> {
        let outcome = self.try_apply(batch).await?;
        ensure!(
            matches!(outcome, Outcome::Applied { .. }),
            "a batch that begins at its partition's position is stale"
        );
        Ok(())
    }

    /// Applies several batches concurrently. Of those from one position exactly one is applied.
    async fn together(&self, all: &[Next]) -> Result<()> {
        let mut batches = Vec::new();
        for next in all {
            batches.push(self.batch(next).await?);
        }
        let outcomes = try_join_all(batches.iter().map(|batch| self.try_apply(batch))).await?;
        let mut applied: BTreeMap<(&str, i32), u32> = BTreeMap::new();
        for (batch, outcome) in batches.iter().zip(outcomes) {
            // An empty batch does not move the position, so another one may be applied too.
            let moves = batch.to > batch.from;
            *applied.entry((&batch.topic_partition.topic, batch.topic_partition.partition)).or_default() +=
                u32::from(moves && matches!(outcome, Outcome::Applied { .. }));
        }
        ensure!(applied.values().all(|count| *count <= 1), "two batches were applied from one position");
        Ok(())
    }

    /// A consumer is killed at an await of the transaction, and its connection is closed. (On a shared connection, a
    /// transaction that is dropped while it begins would stay open.)
    async fn crash(&self, next: &Next, polls: u32) -> Result<()> {
        let batch = self.batch(next).await?;
        let pool = self.tables.one_connection();
        {
            let turns = Semaphore::new(1);
            let (stages, published) = (Stages::default(), PublishedDecisions::default());
            let mut applying = pin!(apply(&pool, &turns, &batch, self.bounds, &stages, &published));
            let mut left = polls;
            poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(Ok(()));
                }
                left -= 1;
                applying
                    .as_mut()
                    .poll(context)
                    .map(|applied| applied.map(drop).map_err(|failure| failure.error))
            })
            .await?;
        }
        pool.close().await;
        // The server may still be executing it. The exclusive schema lock waits for that.
        let mut tx = self.tables.pool.begin().await?;
        lock(&mut tx, LockMode::Exclusive).await?;
        Ok(tx.rollback().await?)
    }

    /// A consumer applies from the position that it last saw, or learns the current one.
    async fn session(&self, member: u8, next: &Next) -> Result<()> {
        let spot = *next.index.get(&self.spots);
        let (position, _) = self.position(spot).await?;
        let view = self.views.borrow().get(&(member, spot)).copied().unwrap_or(position);
        let batch = self.log.batch(spot, view, next.count);
        let (applied, learnt) = match self.try_apply(&batch).await? {
            Outcome::Stale { position } => (false, position),
            _ => (true, batch.to),
        };
        ensure!(applied == (view == position), "a batch from {view} of a partition at {position}: {applied}");
        self.views.borrow_mut().insert((member, spot), learnt);
        Ok(())
    }

    async fn zombie(&self, next: &Next, from: &Index) -> Result<()> {
        let spot = *next.index.get(&self.spots);
        let before = self.position(spot).await?;
        let from = i64::try_from(from.index(usize::try_from(self.log.ends[&spot])? + 1))?;
        if from == before.0 {
            return Ok(());
        }
        let outcome = self.try_apply(&self.log.batch(spot, from, next.count)).await?;
        let after = self.position(spot).await?;
        let stale = matches!(outcome, Outcome::Stale { position } if position == before.0);
        ensure!(stale && before == after, "a batch was applied from {from} to a partition at {before:?}");
        Ok(())
    }

    /// An operator resets a partition by committing another offset for the group.
    async fn rewind(&self, next: &Next, to: &Index) -> Result<()> {
        let spot = *next.index.get(&self.spots);
        let (position, _) = self.position(spot).await?;
        let offset = i64::try_from(to.index(usize::try_from(position)? + 1))?;
        let committed = CommittedOffset { offset, noted: false };
        positions::start(&self.tables.pool, &topic_partition(spot), Some(committed), 0).await?;
        self.apply(&self.log.batch(spot, offset, next.count)).await
    }

    /// The manual decisions so far.
    pub(super) fn decided(&self) -> BTreeMap<(Region, u32), LedgerState> {
        self.decided.borrow().clone()
    }

    async fn decide(&self, run: &Index, deed: Deed) -> Result<()> {
        let states = self.tables.states().await?;
        if states.is_empty() {
            return Ok(());
        }
        let (id, state) = states.iter().nth(run.index(states.len())).context("there is no such run")?;
        let shields = self.tables.shields(true).await?.remove(id).unwrap_or_default();
        let is_accepted = matches!(state.as_str(), "balanced" | "released");
        let is_allowed = match deed {
            Deed::Approve | Deed::Decline => state == "held",
            Deed::Lift(of) => (state == "held" || is_accepted) && shields.contains_key(&domain(of)),
            Deed::Undo => self.decided.borrow().contains_key(id),
        };
        let change = match deed {
            Deed::Approve => Change::Approve(BTreeSet::new()),
            Deed::Lift(of) => Change::Approve([domain(of)].into()),
            Deed::Decline => Change::Decline,
            Deed::Undo => Change::Undo,
        };
        let (region, run) = *id;
        let run_id = RunId { region, run };
        match self.preview_and_decide(run_id, &change).await {
            Ok(()) => ensure!(is_allowed, "run {run} of {region} is {state}, and {deed:?} was allowed"),
            Err(error) => {
                let refused = matches!(error.downcast_ref(), Some(Stop::Usage(_))) && !is_allowed;
                ensure!(refused, "run {run} of {region} is {state}: {error:#}");
                return Ok(());
            }
        }
        let mut decided = self.decided.borrow_mut();
        match deed {
            Deed::Undo => decided.remove(id),
            Deed::Decline => decided.insert(*id, LedgerState::Rejected),
            _ if state == "balanced" => decided.insert(*id, LedgerState::Balanced),
            _ => decided.insert(*id, LedgerState::Released),
        };
        Ok(())
    }

    /// Makes a decision, and checks that its effect equals its preview.
    async fn preview_and_decide(&self, id: RunId, change: &Change) -> Result<()> {
        let shown = manual_decisions::preview(&self.tables.pool, id, change).await?;
        let count = |affected: &dyn Fn(&Affected) -> bool| shown.iter().filter(|it| affected(it)).count();
        let (retired, returned) = (count(&Affected::is_retired), count(&Affected::returns));
        let shown = RetirementCounts { retired: i64::try_from(retired)?, returned: i64::try_from(returned)? };
        manual_decisions::decide(&self.tables.pool, id, change, Some(shown)).await?;
        Ok(())
    }
}
