//! What monitoring shows of a running consumer: metrics, and whether it is healthy and ready.
//!
//! The loop records what it sees at each tick ([`Monitor::observe`]), and two tasks read the ends of the partitions and the
//! figures of the ledger every few seconds. So a scrape asks neither Kafka nor the database. The status page does, on
//! request.

mod counters;
mod gauges;
mod health;
mod live;
mod partition_state;
mod state;
mod tasks;
mod waits;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use catalog_shared::monitoring::{self, FrontPage, HealthResponse, Monitored, PendingPage, RunningMonitor};
use catalog_shared::shutdown::CancellationToken;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_util::sync::DropGuard;

pub(crate) use counters::count_rebalance;
pub(crate) use state::LoopState;
pub(crate) use waits::WaitCause;

use crate::commands::check::page::{About, StatusPage};
use crate::commands::run::args::RunArgs;
use crate::model::partition::Partition;
use crate::model::topic::PartitionId;
use state::State;

/// A handle to the state that is shown. Clones share it.
#[derive(Clone)]
pub(crate) struct Monitor {
    state: Arc<Mutex<State>>,
    /// None without `--metrics-addr`.
    page: Option<Arc<StatusPage>>,
    shutdown: CancellationToken,
}

impl Monitor {
    /// Starts monitoring a program that is starting. It ends when the second result is dropped.
    ///
    /// # Errors
    /// If the address of `--metrics-addr` is not available, or a limit of the status page is not valid.
    pub(crate) fn start(
        args: &RunArgs,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<(Self, Option<RunningMonitor>)> {
        let state = State::new(args.stall_timeout, Instant::now());
        let page = args.monitoring.metrics_addr.map(|_| StatusPage::new(about(args)).map(Arc::new));
        let monitor =
            Self { state: Arc::new(Mutex::new(state)), page: page.transpose()?, shutdown: shutdown.clone() };
        let guard = monitoring::start(&args.monitoring, Arc::new(monitor.clone()), shutdown.clone())?;
        counters::create();
        Ok((monitor, guard))
    }

    /// The consumer joins its group. The ends of partitions, and the figures if anybody may ask for them, are read until the
    /// guard is dropped.
    pub(crate) fn join(&self, args: &RunArgs, pool: &PgPool) -> DropGuard {
        self.lock().join(Instant::now());
        tasks::start(self, &args.kafka, monitoring::is_on(&args.monitoring).then_some(pool))
    }

    /// Records what the loop sees. The loop calls this at each tick.
    pub(crate) fn observe<'a>(&self, partitions: impl Iterator<Item = &'a Partition>, seen: LoopState) {
        self.lock().observe(Instant::now(), partitions, seen);
    }

    /// The loop starts to wait for something outside, so it does not tick.
    pub(crate) fn begin_wait(&self, cause: WaitCause) {
        self.lock().loop_wait = Some(waits::Wait::of_loop(cause, Instant::now()));
    }

    /// The loop's wait is over.
    pub(crate) fn end_wait(&self) {
        self.lock().end_loop_wait(None, Instant::now());
    }

    /// The loop's wait for one partition is over. It counts against this partition.
    pub(crate) fn end_wait_for(&self, partition: PartitionId) {
        self.lock().end_loop_wait(Some(partition), Instant::now());
    }

    /// A change of the assignment was answered or postponed.
    pub(crate) fn rebalanced(&self, is_postponed: bool) {
        self.lock().rebalanced(is_postponed, Instant::now());
    }

    /// Records whether Kafka has just answered a question.
    pub(crate) fn kafka_asked(&self, answers: bool) {
        self.lock().kafka_asked(answers, Instant::now());
    }

    /// Whether there are topics to consume.
    pub(crate) fn set_topics_missing(&self, are_missing: bool) {
        self.lock().topics_missing = are_missing;
    }

    /// The ends of the assigned partitions, as last read.
    pub(crate) fn ends(&self) -> HashMap<PartitionId, i64> {
        self.lock().ends()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about(args: &RunArgs) -> About {
    About {
        group: args.group.clone(),
        topic_prefix: args.kafka.topic_prefix.clone(),
        schema: args.database.schema.clone(),
        started_at: OffsetDateTime::now_utc(),
    }
}

impl Monitored for Monitor {
    fn health(&self) -> HealthResponse {
        health::health(&self.lock(), Instant::now())
    }

    fn readiness(&self) -> HealthResponse {
        health::readiness(&self.lock(), self.shutdown.is_cancelled())
    }

    fn record(&self) {
        let (is_ready, state) = (self.readiness().is_ok, self.lock());
        gauges::record(&state, is_ready, Instant::now(), OffsetDateTime::now_utc());
        counters::record_dropped_lines();
    }

    fn front_page(&self) -> PendingPage {
        let monitor = self.clone();
        Box::pin(async move {
            let Some(page) = &monitor.page else { return FrontPage::Text("") };
            let is_stopping = || monitor.shutdown.is_cancelled();
            let live =
                || live::live(&monitor.lock(), is_stopping(), Instant::now(), OffsetDateTime::now_utc());
            page.show(live).await
        })
    }
}
