//! The state that monitoring shows. It changes only here, and everything else is a function of it and the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::partition_state::PartitionState;
use super::waits::{Wait, WaitCause};
use crate::model::partition::Partition;
use crate::model::stages::Stage;
use crate::model::topic::PartitionId;
use crate::store::figures::Figures;

/// A loop that has not ticked for this long was away: the process was suspended, or the loop waited for something.
const ABSENCE: Duration = Duration::from_secs(5);

/// What the loop sees besides its partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoopState {
    /// Whether another copy of the tables uses the group.
    pub(crate) is_contested: bool,
    /// Whether more records may be buffered. If not, the loop takes none from the polling thread.
    pub(crate) may_buffer_more: bool,
}

/// The state of a consumer.
pub(super) struct State {
    pub(super) stall_timeout: Duration,
    /// Whether the database is open, so that the consumer may join its group.
    pub(super) has_started: bool,
    /// Whether the group has answered with an assignment, possibly an empty one.
    pub(super) has_joined: bool,
    /// Whether a topic is missing, as before the first crawl. Then the group may have nothing to assign.
    pub(super) topics_missing: bool,
    /// When the consumer began to join its group. The figures are read from then on.
    pub(super) joined: Option<Instant>,
    /// When the loop last looked at its partitions.
    pub(super) looped: Instant,
    /// What the loop waits for, without looking at its partitions.
    pub(super) loop_wait: Option<Wait>,
    /// Since when a change of the assignment is postponed.
    pub(super) postponed: Option<Instant>,
    /// Since when another copy of the tables uses the group.
    pub(super) contested: Option<Instant>,
    /// Since when no more records may be buffered.
    pub(super) buffer_full: Option<Instant>,
    /// Since when the database does not answer.
    pub(super) database_down: Option<Instant>,
    /// Since when Kafka does not answer. Partitions show it only while they have something to apply, and a consumer that can't
    /// reach its group loses them.
    pub(super) kafka_down: Option<Instant>,
    pub(super) partitions: HashMap<PartitionId, PartitionState>,
    /// The figures of the ledger, and when they were read.
    pub(super) figures: Option<(Instant, Figures)>,
}

impl State {
    pub(super) fn new(stall_timeout: Duration, now: Instant) -> Self {
        Self {
            stall_timeout,
            has_started: false,
            has_joined: false,
            topics_missing: false,
            joined: None,
            looped: now,
            loop_wait: None,
            postponed: None,
            contested: None,
            buffer_full: None,
            database_down: None,
            kafka_down: None,
            partitions: HashMap::new(),
            figures: None,
        }
    }

    pub(super) const fn join(&mut self, now: Instant) {
        (self.has_started, self.joined, self.looped) = (true, Some(now), now);
    }

    /// Records what the loop sees.
    pub(super) fn observe<'a>(
        &mut self,
        now: Instant,
        partitions: impl Iterator<Item = &'a Partition>,
        seen: LoopState,
    ) {
        // Whether the loop was away for too long is judged separately.
        let absence = now.saturating_duration_since(self.looped);
        if absence >= ABSENCE {
            self.partitions.values_mut().for_each(|partition| partition.progress += absence);
        }
        self.looped = now;
        self.contested = seen.is_contested.then(|| self.contested.unwrap_or(now));
        self.buffer_full = (!seen.may_buffer_more).then(|| self.buffer_full.unwrap_or(now));
        let mut before = std::mem::take(&mut self.partitions);
        for partition in partitions {
            let id = partition.topic_partition.id();
            let mut state = before.remove(&id).unwrap_or_else(|| PartitionState::new(partition, now));
            state.observe(now, partition);
            self.partitions.insert(id, state);
        }
        self.judge_progress(now);
    }

    /// A partition that has nothing to apply, or an allowed wait, has progressed.
    pub(super) fn judge_progress(&mut self, now: Instant) {
        let progressed = |(id, state): (&PartitionId, &PartitionState)| {
            let may_wait = self.wait(state, now).is_some_and(|wait| wait.is_within_limit(now));
            (may_wait || !state.has_work()).then_some(*id)
        };
        let ids: Vec<_> = self.partitions.iter().filter_map(progressed).collect();
        for id in ids {
            self.partitions.entry(id).and_modify(|partition| partition.progress = now);
        }
    }

    /// The named wait of a partition, if it has one.
    pub(super) fn wait(&self, partition: &PartitionState, now: Instant) -> Option<Wait> {
        let wait = |cause| move |since| Wait::new(cause, since);
        if !partition.has_work() {
            return None;
        }
        // A partition without received records needs the database only if the loop takes no records because of it.
        let needs_database = partition.is_busy || self.buffer_full.is_some();
        let newer = partition.newer.filter(|_| !partition.is_busy);
        newer
            .map(wait(WaitCause::NewerSchema))
            .or(self.contested.map(wait(WaitCause::Rebalance)))
            .or_else(|| self.outage_of_database().filter(|_| needs_database).map(wait(WaitCause::Database)))
            .or_else(|| self.wait_of_batch(partition, now))
            .or_else(|| self.wait_for_others(partition).map(wait(WaitCause::OtherBatches)))
            // A received record needs no answer of Kafka.
            .or_else(|| {
                let is_outdated = partition.has_outdated_end(now) && !partition.is_busy;
                is_outdated.then(|| wait(WaitCause::Kafka)(partition.end_at))
            })
    }

    /// Since when the database is down, as the check or any batch sees it. A check that only reads succeeds on a standby or
    /// with a full disk. Only a few partitions have a batch in flight, but the outage holds up all of them.
    fn outage_of_database(&self) -> Option<Instant> {
        let batches = self.partitions.values().filter_map(|partition| partition.database_down);
        batches.chain(self.database_down).min()
    }

    /// The wait that the stage of a batch means. A short stage does not count: a batch that fails again and again passes all stages.
    fn wait_of_batch(&self, partition: &PartitionState, now: Instant) -> Option<Wait> {
        let is_long = |since: &Instant| now.saturating_duration_since(*since) >= self.stall_timeout / 8;
        let cause = |stage| match stage {
            Stage::SchemaLock => Some(WaitCause::SchemaLock),
            Stage::EndOfRun => Some(WaitCause::Decision),
            Stage::Connection => self.is_working().then_some(WaitCause::OtherBatches),
            _ => None,
        };
        let (stage, since) = partition.stage.filter(|(_, since)| is_long(since))?;
        cause(stage).map(|cause| Wait::new(cause, since))
    }

    /// Since when a partition without a batch waits for other partitions. They are judged themselves: those that work, and
    /// those whose records fill the buffer.
    fn wait_for_others(&self, partition: &PartitionState) -> Option<Instant> {
        let queued = partition.queued?;
        if partition.is_busy {
            self.is_working().then_some(queued)
        } else {
            self.buffer_full.map(|full| full.max(queued))
        }
    }

    fn is_working(&self) -> bool {
        self.partitions.values().any(PartitionState::is_working)
    }

    /// Whether Kafka or the database is known to be down. What the batches see does not count, because only the loop reads it.
    pub(super) fn is_outage_known(&self, now: Instant) -> bool {
        self.database_down.is_some()
            || self.kafka_down.is_some()
            || self.partitions.values().any(|partition| partition.has_outdated_end(now))
    }

    /// The time that the loop has waited does not count against its partitions, except against the one that it waited for. If
    /// that one has no allowed wait of its own, repeated failures must not reset its stall time.
    pub(super) fn end_loop_wait(&mut self, waited_for: Option<PartitionId>, now: Instant) {
        let Some(wait) = self.loop_wait.take() else { return };
        let waited = now.saturating_duration_since(wait.since);
        let others = self.partitions.iter_mut().filter(|(id, _)| Some(**id) != waited_for);
        others.for_each(|(_, partition)| partition.progress += waited);
        self.looped = now;
    }

    pub(super) fn rebalanced(&mut self, is_postponed: bool, now: Instant) {
        self.postponed = is_postponed.then(|| self.postponed.unwrap_or(now));
        self.has_joined |= !is_postponed;
    }

    /// Records an end and when it was read.
    pub(super) fn read_end(&mut self, id: PartitionId, end: i64, at: Instant) {
        if let Some(partition) = self.partitions.get_mut(&id) {
            (partition.end, partition.end_at) = (Some(end), at);
        }
    }

    /// Records whether the database answers.
    pub(super) fn pinged(&mut self, answers: bool, now: Instant) {
        self.database_down = if answers { None } else { self.database_down.or(Some(now)) };
    }

    /// Records whether Kafka answers.
    pub(super) fn kafka_asked(&mut self, answers: bool, now: Instant) {
        self.kafka_down = if answers { None } else { self.kafka_down.or(Some(now)) };
    }

    pub(super) fn ends(&self) -> HashMap<PartitionId, i64> {
        self.partitions.iter().filter_map(|(id, partition)| Some((*id, partition.end?))).collect()
    }

    /// All waits: those of the loop and those of partitions.
    pub(super) fn waits(&self, now: Instant) -> impl Iterator<Item = Wait> {
        let postponed = self.postponed.map(Wait::postponed);
        let postponed = postponed.or(self.contested.map(|since| Wait::new(WaitCause::Rebalance, since)));
        let database = self.outage_of_database().map(|since| Wait::new(WaitCause::Database, since));
        let kafka = self.kafka_down.map(|since| Wait::new(WaitCause::Kafka, since));
        let partitions = self.partitions.values().filter_map(move |partition| self.wait(partition, now));
        self.loop_wait.into_iter().chain(postponed).chain(database).chain(kafka).chain(partitions)
    }
}
