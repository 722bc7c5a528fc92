//! Whether the consumer is healthy and ready: pure functions of the state and the time.

use std::time::{Duration, Instant};

use catalog_shared::monitoring::HealthResponse;
use serde_json::{Value, json};

use super::partition_state::PartitionState;
use super::state::State;
use super::waits::Wait;

/// The next command for any problem. It shows the session that blocks a partition.
const NEXT: &str = "catalog-consumer doctor";

/// A problem that a restart may solve.
#[derive(Debug, PartialEq, Eq)]
enum Problem<'a> {
    /// The loop hangs.
    Loop(Duration),
    /// A partition has not moved for this long, although there is something to apply and nothing that it waits for.
    Partition(&'a str, i32, Duration),
}

/// Whether the consumer makes progress.
///
/// A partition is fine if its position has moved, there is nothing to apply, or it is in a named wait younger than its
/// limit.
pub(super) fn health(state: &State, now: Instant) -> HealthResponse {
    let problems = problems(state, now);
    let summary = match problems.first() {
        Some(problem) => problem.text(),
        None => "healthy".to_owned(),
    };
    let status = if problems.is_empty() { "healthy" } else { "unhealthy" };
    let texts: Vec<String> = problems.iter().map(Problem::text).collect();
    let body = json!({
        "status": status,
        "problems": texts,
        "next": (!problems.is_empty()).then_some(NEXT),
        "waits": waits(state, now),
        "partitions": partitions(state, now),
    });
    HealthResponse { is_ok: problems.is_empty(), summary, body }
}

/// Whether the consumer has started: the tables fit, and it has a place in its group. One without partitions is a standby
/// and ready. So is one without topics: the group has nothing to assign before the first crawl.
pub(super) fn readiness(state: &State, is_stopping: bool) -> HealthResponse {
    let reason = if is_stopping {
        Some("shutting down")
    } else if !state.has_started {
        Some("waiting for Kafka and the database, or checking the tables")
    } else if !state.has_joined && !state.topics_missing {
        Some("waiting for the group to assign partitions")
    } else {
        None
    };
    let count = state.partitions.len();
    let ready = || match count {
        0 if state.topics_missing => "ready, and the topics do not exist before the first crawl".to_owned(),
        0 => "ready as a standby, without partitions".to_owned(),
        1 => "ready, with 1 partition".to_owned(),
        _ => format!("ready, with {count} partitions"),
    };
    let summary = reason.map_or_else(ready, str::to_owned);
    let status = if reason.is_none() { "ready" } else { "not_ready" };
    let body = json!({ "status": status, "reason": summary, "partitions": count });
    HealthResponse { is_ok: reason.is_none(), summary, body }
}

/// Before the consumer joins its group, it only waits for Kafka and the database, and has no problems. A wait of the loop has
/// no limit during an outage, because a restart would not end it.
fn problems(state: &State, now: Instant) -> Vec<Problem<'_>> {
    let looped = now.saturating_duration_since(state.looped);
    let is_excused =
        state.loop_wait.is_some_and(|wait| wait.is_within_limit(now) || state.is_outage_known(now));
    if !state.has_started || is_excused {
        return Vec::new();
    }
    if looped >= state.stall_timeout {
        return vec![Problem::Loop(looped)];
    }
    let stalled = |partition| stalled(state, partition);
    sorted(state).into_iter().filter_map(stalled).collect()
}

fn stalled<'a>(state: &State, partition: &'a PartitionState) -> Option<Problem<'a>> {
    let name = &partition.topic_partition;
    stalled_for(state, partition).map(|idle| Problem::Partition(&name.topic, name.partition, idle))
}

/// How long a partition has had no progress, if that is too long. Only the time that the loop has seen counts, because the
/// partitions of a loop that hangs are not the problem.
pub(super) fn stalled_for(state: &State, partition: &PartitionState) -> Option<Duration> {
    let idle = state.looped.saturating_duration_since(partition.progress);
    (idle >= state.stall_timeout).then_some(idle)
}

impl Problem<'_> {
    fn text(&self) -> String {
        match self {
            Self::Loop(since) => format!("the main loop has not run for {} s", since.as_secs()),
            Self::Partition(topic, partition, since) => format!(
                "{topic}[{partition}] has had no progress for {} s, although there are records to apply",
                since.as_secs()
            ),
        }
    }
}

/// The partitions by topic and number.
pub(super) fn sorted(state: &State) -> Vec<&PartitionState> {
    let mut partitions: Vec<_> = state.partitions.values().collect();
    partitions.sort_unstable_by_key(|state| (&state.topic_partition.topic, state.topic_partition.partition));
    partitions
}

/// The oldest wait of each cause.
pub(super) fn oldest_waits(state: &State, now: Instant) -> Vec<Wait> {
    let mut all: Vec<Wait> = state.waits(now).collect();
    all.sort_unstable_by_key(|wait| (wait.cause.name(), wait.since));
    all.dedup_by_key(|wait| wait.cause.name());
    all
}

fn waits(state: &State, now: Instant) -> Vec<Value> {
    let wait = |wait: Wait| {
        json!({
            "cause": wait.cause.name(),
            "seconds": now.saturating_duration_since(wait.since).as_secs(),
            "limit_seconds": wait.limit.map(|limit| limit.as_secs()),
        })
    };
    oldest_waits(state, now).into_iter().map(wait).collect()
}

fn partitions(state: &State, now: Instant) -> Vec<Value> {
    let partition = |partition: &PartitionState| {
        json!({
            "topic": partition.topic_partition.topic,
            "partition": partition.topic_partition.partition,
            "position": partition.position,
            "end": partition.end,
            "stage": partition.stage.map(|(stage, _)| stage.name()),
            "waits_for": state.wait(partition, now).map(|wait| wait.cause.name()),
            "seconds_without_progress": now.saturating_duration_since(partition.progress).as_secs(),
        })
    };
    sorted(state).into_iter().map(partition).collect()
}

#[cfg(test)]
mod tests;
