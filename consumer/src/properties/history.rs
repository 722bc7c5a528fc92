//! Histories: a log is applied to tables, through all that can happen on the way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use anyhow::{Context, Result, ensure};
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use catalog_shared::verdict::Decision;
use futures::future::try_join_all;
use proptest::sample::Index;
use tokio::sync::Semaphore;

use super::generate::{Drain, Next, Step};
use super::log::{Log, Spot, place};
use super::tables::Tables;
use crate::apply::dead_letters::Limits;
use crate::apply::positions;
use crate::apply::{Bounds, Outcome, apply, lock};
use crate::batch::Batch;
use crate::books::judge::Tolerance;
use crate::books::verdicts::RunId;
use crate::consume::group::Committed;
use crate::runs;

/// A log on its way into tables.
pub(super) struct History<'a> {
    log: &'a Log,
    tables: &'a Tables,
    spots: Vec<Spot>,
    bounds: Bounds,
    /// Where each of several consumers believes that a partition stands.
    views: RefCell<BTreeMap<(u8, Spot), i64>>,
    /// What people have decided.
    decided: RefCell<BTreeMap<(Region, u32), Decision>>,
}

impl<'a> History<'a> {
    /// Begins with nothing; a partition is taken over, or is new, when it is first looked at.
    pub(super) fn begin(log: &'a Log, tables: &'a Tables, strict: bool) -> Self {
        let spots = log.spots();
        let runs = if strict {
            Tolerance { max_retire_share: 0.2, min_seen_share: 0.95 }
        } else {
            Tolerance { max_retire_share: 1.0, min_seen_share: 0.0 }
        };
        // Any number of dead letters.
        let bounds = Bounds { dead: Limits { share: 1.0, in_row: u32::MAX }, runs };
        Self { log, tables, spots, bounds, views: RefCell::default(), decided: RefCell::default() }
    }

    /// Takes the steps, and looks where they say so and amid replays.
    pub(super) async fn play(&self, steps: &[Step], look: &impl AsyncFn(&Self) -> Result<()>) -> Result<()> {
        for step in steps {
            self.step(step).await.with_context(|| format!("at {step:?}"))?;
            if matches!(step, Step::Look | Step::Rewind(..)) {
                look(self).await.with_context(|| format!("at {step:?}"))?;
            }
        }
        Ok(())
    }

    async fn step(&self, step: &Step) -> Result<()> {
        match step {
            Step::Apply(next) => self.apply(&self.batch(next).await?).await,
            Step::Together(all) => self.together(all).await,
            Step::Crash(next, polls) => self.crash(next, *polls).await,
            Step::Session(member, next) => self.session(*member, next).await,
            Step::Zombie(next, from) => self.zombie(next, from).await,
            Step::Rewind(next, to) => self.rewind(next, to).await,
            Step::Look => Ok(()),
            Step::Decide(run, release) => self.decide(run, *release).await,
        }
    }

    /// Applies all that is left, partition by partition in turn.
    pub(super) async fn drain(&self, drain: &Drain) -> Result<()> {
        let first = drain.first.index(self.spots.len());
        for spot in &self.spots {
            self.standing(*spot).await?;
        }
        loop {
            let positions = self.tables.positions().await?;
            let mut spots: Vec<Spot> = [&self.spots[first..], &self.spots[..first]].concat();
            spots.retain(|spot| positions[spot].0 < self.log.ends[spot]);
            if spots.is_empty() {
                return Ok(());
            }
            for spot in spots {
                self.apply(&self.log.batch(spot, positions[&spot].0, drain.batch)).await?;
            }
        }
    }

    /// The offset of each partition before which all was applied.
    pub(super) async fn delivered(&self) -> Result<BTreeMap<Spot, i64>> {
        let positions = self.tables.positions().await?;
        Ok(positions.into_iter().map(|(spot, (_, counted_to))| (spot, counted_to)).collect())
    }

    /// Where a partition stands, and up to where it is in the books.
    async fn standing(&self, spot: Spot) -> Result<(i64, i64)> {
        positions::start(&self.tables.pool, &place(spot), None, 0).await?;
        let positions = self.tables.positions().await?;
        positions.get(&spot).copied().with_context(|| format!("{spot:?} is not among {positions:?}"))
    }

    async fn batch(&self, Next { place, count }: &Next) -> Result<Batch> {
        let spot = *place.get(&self.spots);
        let (position, _) = self.standing(spot).await?;
        Ok(self.log.batch(spot, position, *count))
    }

    async fn try_apply(&self, batch: &Batch) -> Result<Outcome> {
        apply(&self.tables.pool, &Semaphore::new(1), batch, self.bounds)
            .await
            .map_err(|failure| failure.error)
    }

    async fn apply(&self, batch: &Batch) -> Result<()> {
        let outcome = self.try_apply(batch).await?;
        ensure!(
            matches!(outcome, Outcome::Applied { .. }),
            "a batch from where its partition stands is stale"
        );
        Ok(())
    }

    /// Of batches of one partition exactly one is applied.
    async fn together(&self, all: &[Next]) -> Result<()> {
        let mut batches = Vec::new();
        for next in all {
            batches.push(self.batch(next).await?);
        }
        let outcomes = try_join_all(batches.iter().map(|batch| self.try_apply(batch))).await?;
        let mut applied: BTreeMap<(&str, i32), u32> = BTreeMap::new();
        for (batch, outcome) in batches.iter().zip(outcomes) {
            // One that ends where it began leaves the place to the other.
            let moves = batch.to > batch.from;
            *applied.entry((&batch.place.topic, batch.place.partition)).or_default() +=
                u32::from(moves && matches!(outcome, Outcome::Applied { .. }));
        }
        ensure!(applied.values().all(|count| *count <= 1), "two batches were applied from one position");
        Ok(())
    }

    /// A consumer is killed at an await of the transaction, and its connection with it. (On a connection that
    /// others go on with, a transaction that is given up while it begins would stay open.)
    async fn crash(&self, next: &Next, polls: u32) -> Result<()> {
        let batch = self.batch(next).await?;
        let pool = self.tables.one_connection();
        {
            let turns = Semaphore::new(1);
            let mut applying = pin!(apply(&pool, &turns, &batch, self.bounds));
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
        // The server may still be at it: whoever has the one lock alone has outlived that.
        let mut tx = self.tables.pool.begin().await?;
        lock(&mut tx, true).await?;
        Ok(tx.rollback().await?)
    }

    /// It is right about the partition, or learns where that stands.
    async fn session(&self, member: u8, next: &Next) -> Result<()> {
        let spot = *next.place.get(&self.spots);
        let (position, _) = self.standing(spot).await?;
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
        let spot = *next.place.get(&self.spots);
        let before = self.standing(spot).await?;
        let from = i64::try_from(from.index(usize::try_from(self.log.ends[&spot])? + 1))?;
        if from == before.0 {
            return Ok(());
        }
        let outcome = self.try_apply(&self.log.batch(spot, from, next.count)).await?;
        let after = self.standing(spot).await?;
        let stale = matches!(outcome, Outcome::Stale { position } if position == before.0);
        ensure!(stale && before == after, "a batch was applied from {from} to a partition at {before:?}");
        Ok(())
    }

    /// As the operator does it: by an offset of the group that is not ours.
    async fn rewind(&self, next: &Next, to: &Index) -> Result<()> {
        let spot = *next.place.get(&self.spots);
        let (position, _) = self.standing(spot).await?;
        let offset = i64::try_from(to.index(usize::try_from(position)? + 1))?;
        let committed = Committed { offset, noted: false };
        positions::start(&self.tables.pool, &place(spot), Some(committed), 0).await?;
        self.apply(&self.log.batch(spot, offset, next.count)).await
    }

    /// What people have decided so far.
    pub(super) fn decided(&self) -> BTreeMap<(Region, u32), Decision> {
        self.decided.borrow().clone()
    }

    async fn decide(&self, run: &Index, release: bool) -> Result<()> {
        let states = self.tables.states().await?;
        if states.is_empty() {
            return Ok(());
        }
        let ((region, run), state) =
            states.iter().nth(run.index(states.len())).context("it is one of them")?;
        let (region, run) = (*region, *run);
        let decision = if release { Decision::Released } else { Decision::Rejected };
        match runs::transact(&self.tables.pool, RunId { region, run }, decision).await {
            Ok(_) => {
                ensure!(state == "held", "run {run} of {region} is {state} and was {decision:?}");
                self.decided.borrow_mut().insert((region, run), decision);
            }
            Err(error) => {
                let refused = matches!(error.downcast_ref(), Some(Stop::Usage(_))) && state != "held";
                ensure!(refused, "run {run} of {region} is {state}: {error:#}");
            }
        }
        Ok(())
    }
}
