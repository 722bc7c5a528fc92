//! What the status page shows of the running consumer.

use std::time::Instant;

use time::OffsetDateTime;

use super::gauges::lag_time;
use super::health;
use super::partition_state::PartitionState;
use super::state::State;
use super::waits::Wait;
use crate::commands::check::page::{Live, LivePartition, LiveWait};

/// The state as the page shows it.
pub(super) fn live(state: &State, is_stopping: bool, now: Instant, clock: OffsetDateTime) -> Live {
    let wait = |Wait { cause, since, limit }: Wait| LiveWait {
        cause: cause.name(),
        what: cause.what(),
        seconds: now.saturating_duration_since(since).as_secs(),
        limit: limit.map(|limit| limit.as_secs()),
    };
    Live {
        health: health::health(state, now),
        readiness: health::readiness(state, is_stopping),
        waits: health::oldest_waits(state, now).into_iter().map(wait).collect(),
        partitions: health::sorted(state).iter().map(|one| partition(state, one, now, clock)).collect(),
    }
}

fn partition(
    state: &State,
    partition: &PartitionState,
    now: Instant,
    clock: OffsetDateTime,
) -> LivePartition {
    LivePartition {
        topic: partition.topic_partition.topic.clone(),
        partition: partition.topic_partition.partition,
        records: partition.lag().and_then(|lag| u64::try_from(lag).ok()),
        seconds: lag_time(partition, now, clock).as_secs(),
        wait: state.wait(partition, now).map(|wait| wait.cause.name()),
        stalled: health::stalled_for(state, partition).map(|idle| idle.as_secs()),
    }
}
