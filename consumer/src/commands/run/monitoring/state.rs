//! The state that monitoring shows. It changes only here, and everything else is a function of it and the time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::waits::{Cause, Wait};
use crate::model::partition::Partition;
use crate::model::stages::Stage;
use crate::model::topic::{PartitionId, TopicPartition};
use crate::store::figures::Figures;

/// An end that was not read for this long means that Kafka does not answer. It is read every ten seconds.
const END_OUTDATED: Duration = Duration::from_secs(25);

/// A loop that has not ticked for this long was away: the process was suspended, or the loop waited for something.
const ABSENCE: Duration = Duration::from_secs(5);

/// The state of a consumer.
pub(super) struct State {
    pub(super) stall_timeout: Duration,
    /// Whether the database is open, so that the consumer may join its group.
    pub(super) has_started: bool,
    /// Whether the group has answered with an assignment, possibly an empty one.
    pub(super) has_joined: bool,
    /// Whether a topic is missing, as before the first crawl. Then the group may have nothing to assign.
    pub(super) topics_missing: bool,
    /// When the loop last looked at its partitions.
    pub(super) looped: Instant,
    /// What the loop waits for, without looking at its partitions.
    pub(super) loop_wait: Option<Wait>,
    /// Since when a change of the assignment is postponed.
    pub(super) postponed: Option<Instant>,
    /// Since when another copy of the tables uses the group.
    pub(super) contested: Option<Instant>,
    /// Since when the database does not answer.
    pub(super) database_down: Option<Instant>,
    pub(super) partitions: HashMap<PartitionId, PartitionState>,
    /// The figures of the ledger, and when they were read.
    pub(super) figures: Option<(Instant, Figures)>,
}

/// The state of an assigned partition.
#[derive(Clone, Debug)]
pub(super) struct PartitionState {
    pub(super) topic_partition: TopicPartition,
    pub(super) position: i64,
    /// The end of the committed records.
    pub(super) end: Option<i64>,
    /// When the end was last read, or when the partition was assigned.
    pub(super) end_at: Instant,
    /// Whether a batch is in flight.
    pub(super) in_flight: bool,
    /// Whether there is a batch in flight or a received record.
    pub(super) is_busy: bool,
    /// When the oldest received record that is not applied was observed. Between two batches, that of the last batch.
    pub(super) oldest: Option<OffsetDateTime>,
    /// Since when there is something to apply.
    pub(super) behind: Option<Instant>,
    /// Since when a record of a newer schema comes next.
    pub(super) newer: Option<Instant>,
    /// Since when the database is down, as its batch sees it.
    pub(super) database_down: Option<Instant>,
    /// The stage of the batch in flight.
    pub(super) stage: Option<(Stage, Instant)>,
    /// When the position last moved, there was nothing to apply, or a named wait was an excuse.
    pub(super) progress: Instant,
}

impl State {
    pub(super) fn new(stall_timeout: Duration, now: Instant) -> Self {
        Self {
            stall_timeout,
            has_started: false,
            has_joined: false,
            topics_missing: false,
            looped: now,
            loop_wait: None,
            postponed: None,
            contested: None,
            database_down: None,
            partitions: HashMap::new(),
            figures: None,
        }
    }

    pub(super) const fn join(&mut self, now: Instant) {
        (self.has_started, self.looped) = (true, now);
    }

    /// Records what the loop sees.
    pub(super) fn observe<'a>(
        &mut self,
        now: Instant,
        partitions: impl Iterator<Item = &'a Partition>,
        is_contested: bool,
    ) {
        if now.saturating_duration_since(self.looped) >= ABSENCE {
            self.skip_absence(now);
        }
        self.looped = now;
        self.contested = is_contested.then(|| self.contested.unwrap_or(now));
        let mut before = std::mem::take(&mut self.partitions);
        for partition in partitions {
            let id = partition.topic_partition.id();
            let mut state = before.remove(&id).unwrap_or_else(|| PartitionState::new(partition, now));
            state.observe(now, partition);
            self.partitions.insert(id, state);
        }
        self.judge_progress(now);
    }

    /// A partition that has nothing to apply, or an excuse, has progressed.
    pub(super) fn judge_progress(&mut self, now: Instant) {
        let progressed = |(id, state): (&PartitionId, &PartitionState)| {
            let is_excused = self.wait(state, now).is_some_and(|wait| wait.is_within_limit(now));
            (is_excused || !state.has_work()).then_some(*id)
        };
        let ids: Vec<_> = self.partitions.iter().filter_map(progressed).collect();
        for id in ids {
            self.partitions.entry(id).and_modify(|partition| partition.progress = now);
        }
    }

    /// The named wait of a partition, if it has one.
    pub(super) fn wait(&self, partition: &PartitionState, now: Instant) -> Option<Wait> {
        let wait = |cause| move |since| Wait { cause, since };
        if !partition.has_work() {
            return None;
        }
        let database = || partition.database_down.or(self.database_down.filter(|_| partition.is_busy));
        let newer = partition.newer.filter(|_| !partition.is_busy);
        let is_outdated = now.saturating_duration_since(partition.end_at) >= END_OUTDATED;
        newer
            .map(wait(Cause::NewerSchema))
            .or(self.contested.map(wait(Cause::Rebalance)))
            .or_else(|| database().map(wait(Cause::Database)))
            .or_else(|| self.wait_of_batch(partition, now))
            // A received record needs no answer of Kafka.
            .or_else(|| (is_outdated && !partition.is_busy).then(|| wait(Cause::Kafka)(partition.end_at)))
    }

    /// The wait that the stage of a batch means. A short one is none: a batch that fails again and again passes all stages.
    fn wait_of_batch(&self, partition: &PartitionState, now: Instant) -> Option<Wait> {
        let is_long = |since: &Instant| now.saturating_duration_since(*since) >= self.stall_timeout / 8;
        let is_working = || self.partitions.values().any(PartitionState::is_working);
        match partition.stage.filter(|(_, since)| is_long(since)) {
            Some((Stage::SchemaLock, since)) => Some(Wait { cause: Cause::SchemaLock, since }),
            Some((Stage::EndOfRun, since)) => Some(Wait { cause: Cause::Decision, since }),
            Some((Stage::Connection, since)) if is_working() => Some(Wait { cause: Cause::Turn, since }),
            None if !partition.in_flight && partition.is_busy && is_working() => {
                Some(Wait { cause: Cause::Turn, since: partition.progress })
            }
            _ => None,
        }
    }

    pub(super) fn end_loop_wait(&mut self, now: Instant) {
        self.loop_wait = None;
        self.skip_absence(now);
    }

    /// The time that the loop was not there does not count against its partitions. Whether the loop was away for too long is
    /// judged separately.
    fn skip_absence(&mut self, now: Instant) {
        let absence = now.saturating_duration_since(self.looped);
        self.partitions.values_mut().for_each(|partition| partition.progress += absence);
        self.looped = now;
    }

    pub(super) fn rebalanced(&mut self, is_postponed: bool, now: Instant) {
        self.postponed = is_postponed.then(|| self.postponed.unwrap_or(now));
        self.has_joined |= !is_postponed;
    }

    /// Records the ends that were read.
    pub(super) fn read_ends(&mut self, ends: impl IntoIterator<Item = (PartitionId, i64)>, now: Instant) {
        for (id, end) in ends {
            if let Some(partition) = self.partitions.get_mut(&id) {
                (partition.end, partition.end_at) = (Some(end), now);
            }
        }
    }

    /// Records whether the database answers.
    pub(super) fn pinged(&mut self, answers: bool, now: Instant) {
        self.database_down = if answers { None } else { self.database_down.or(Some(now)) };
    }

    pub(super) fn ends(&self) -> HashMap<PartitionId, i64> {
        self.partitions.iter().filter_map(|(id, partition)| Some((*id, partition.end?))).collect()
    }

    /// All waits: those of the loop and those of partitions.
    pub(super) fn waits(&self, now: Instant) -> impl Iterator<Item = Wait> {
        let postponed = self.postponed.or(self.contested);
        let postponed = postponed.map(|since| Wait { cause: Cause::Rebalance, since });
        let database = self.database_down.map(|since| Wait { cause: Cause::Database, since });
        let partitions = self.partitions.values().filter_map(move |partition| self.wait(partition, now));
        self.loop_wait.into_iter().chain(postponed).chain(database).chain(partitions)
    }
}

impl PartitionState {
    fn new(partition: &Partition, now: Instant) -> Self {
        Self {
            topic_partition: partition.topic_partition.clone(),
            position: partition.position,
            end: None,
            end_at: now,
            in_flight: false,
            is_busy: false,
            oldest: None,
            behind: None,
            newer: None,
            database_down: None,
            stage: None,
            progress: now,
        }
    }

    fn observe(&mut self, now: Instant, partition: &Partition) {
        if partition.position != self.position {
            (self.position, self.progress) = (partition.position, now);
        }
        self.is_busy = partition.has_work();
        self.newer = partition.newer.map(|_| self.newer.unwrap_or(now));
        let in_flight = partition.in_flight;
        self.in_flight = in_flight;
        self.database_down = partition.handle.down_since().filter(|_| in_flight);
        self.stage = partition.handle.stages().current().filter(|_| in_flight);
        self.behind = self.has_work().then(|| self.behind.unwrap_or(now));
        // Between two batches, the next record is hardly newer than the last one that was received.
        let oldest = partition.oldest_observed_at().or(self.oldest);
        self.oldest = oldest.filter(|_| self.behind.is_some());
    }

    /// Whether there is something to apply.
    pub(super) fn has_work(&self) -> bool {
        self.is_busy || self.newer.is_some() || self.lag().is_some_and(|lag| lag > 0)
    }

    /// Whether its batch uses a connection.
    fn is_working(&self) -> bool {
        self.stage.is_some_and(|(stage, _)| !matches!(stage, Stage::Decode | Stage::Connection))
    }

    /// The offsets up to the end, once it is known.
    pub(super) fn lag(&self) -> Option<i64> {
        self.end.map(|end| (end - self.position).max(0))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::topic::TopicKind;

    /// An assigned partition of the topic of dead letters without anything to apply.
    pub(crate) fn partition(number: i32, now: Instant) -> PartitionState {
        let name = TopicPartition {
            kind: TopicKind::DeadLetters,
            topic: "socrata.dead-letters".to_owned(),
            partition: number,
        };
        PartitionState::new(&Partition::new(name, 0, 1), now)
    }
}
