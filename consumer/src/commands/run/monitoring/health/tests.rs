//! The cases of the judgement. The time is an argument, so nothing waits.

use std::time::{Duration, Instant};

use super::super::partition_state::tests::partition;
use super::super::state::LoopState;
use super::super::waits::WaitCause;
use super::*;
use crate::model::partition::Partition;
use crate::model::stages::Stage;

mod outages;

const STALL: Duration = Duration::from_secs(45);

/// The group belongs to this consumer, and there is space for more records.
const CLEAR: LoopState = LoopState { is_contested: false, may_buffer_more: true };

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A consumer that has joined its group with these partitions.
fn joined(now: Instant, partitions: Vec<PartitionState>) -> State {
    let mut state = State::new(STALL, now);
    state.join(now);
    state.rebalanced(false, now);
    state.partitions = partitions.into_iter().map(|state| (state.topic_partition.id(), state)).collect();
    state
}

/// A partition with a batch in flight that began now.
fn busy(number: i32, now: Instant) -> PartitionState {
    let stage = Some((Stage::Rows, now));
    PartitionState {
        in_flight: true,
        is_busy: true,
        behind: Some(now),
        stage,
        end: Some(100),
        ..partition(number, now)
    }
}

/// The judgement if the loop has looked at its partitions until now and nothing has changed.
fn health_at(state: &mut State, now: Instant) -> HealthResponse {
    state.looped = now;
    state.judge_progress(now);
    health(state, now)
}

fn wait_causes(report: &HealthResponse) -> Vec<&str> {
    let waits = report.body["waits"].as_array().unwrap();
    waits.iter().map(|wait| wait["cause"].as_str().unwrap()).collect()
}

#[test]
fn a_consumer_that_starts_is_healthy_and_not_ready() {
    let start = Instant::now();
    let mut state = State::new(STALL, start);
    // The database has been unreachable for hours, or a migration takes long.
    assert!(health(&state, start + seconds(100_000)).is_ok);
    let not_ready = readiness(&state, false);
    assert!(!not_ready.is_ok && not_ready.body["status"] == "not_ready", "{not_ready:?}");
    state.join(start);
    assert!(readiness(&state, false).summary.contains("the group"));
    state.rebalanced(true, start);
    assert!(!readiness(&state, false).is_ok);
    state.topics_missing = true;
    let without_topics = readiness(&state, false);
    assert!(without_topics.is_ok && without_topics.summary.contains("topics"), "{without_topics:?}");
    state.topics_missing = false;
    state.rebalanced(false, start);
    let standby = readiness(&state, false);
    assert!(standby.is_ok && standby.summary.contains("standby"), "{standby:?}");
    let stopping = readiness(&state, true);
    assert!(!stopping.is_ok && stopping.summary == "shutting down", "{stopping:?}");
}

#[test]
fn an_idle_partition_is_healthy_forever() {
    let start = Instant::now();
    let mut state = joined(start, vec![PartitionState { end: Some(0), ..partition(0, start) }]);
    assert!(health_at(&mut state, start + seconds(100_000)).is_ok);
    // Nor is one whose end is not known yet.
    let mut state = joined(start, vec![partition(0, start)]);
    assert!(health_at(&mut state, start + seconds(100_000)).is_ok);
}

#[test]
fn one_stalled_partition_of_six_is_named_within_a_minute() {
    let start = Instant::now();
    let idle = |number| PartitionState { end: Some(0), ..partition(number, start) };
    let mut state = joined(start, (0..6).map(|n| if n == 3 { busy(n, start) } else { idle(n) }).collect());
    assert!(health_at(&mut state, start + STALL - seconds(1)).is_ok);
    let report = health_at(&mut state, start + STALL);
    assert!(!report.is_ok && report.summary.contains("socrata.dead-letters[3]"), "{report:?}");
    assert_eq!(report.body["problems"].as_array().unwrap().len(), 1);
    assert_eq!(report.body["partitions"][3]["stage"], "rows");
    assert!(STALL < seconds(60));
}

#[test]
fn a_partition_that_receives_nothing_although_its_end_is_ahead_is_stalled() {
    let start = Instant::now();
    let behind = PartitionState { end: Some(100), behind: Some(start), ..partition(0, start) };
    let mut state = joined(start, vec![behind]);
    for second in (0..=50).step_by(10) {
        let now = start + seconds(second);
        state.read_end(partition(0, start).topic_partition.id(), 100, now);
        assert_eq!(health_at(&mut state, now).is_ok, second < 45, "{second}");
    }
}

#[test]
fn an_outage_of_kafka_is_an_excuse_without_limit() {
    let start = Instant::now();
    let behind = PartitionState { end: Some(100), behind: Some(start), ..partition(0, start) };
    let mut state = joined(start, vec![behind]);
    // The loop ticks during the outage.
    for second in 0..10_000 {
        assert!(health_at(&mut state, start + seconds(second)).is_ok, "{second}");
    }
    let back = start + seconds(10_000);
    state.read_end(partition(0, start).topic_partition.id(), 100, back);
    assert!(health_at(&mut state, back).is_ok);
    state.read_end(partition(0, start).topic_partition.id(), 100, back + seconds(40));
    // The client has time to connect again.
    assert!(health_at(&mut state, back + seconds(43)).is_ok);
    assert!(!health_at(&mut state, back + seconds(44)).is_ok);
}

#[test]
fn an_outage_of_the_database_is_an_excuse_without_limit() {
    let start = Instant::now();
    let seen_by_batch = PartitionState { database_down: Some(start), stage: None, ..busy(0, start) };
    let mut state = joined(start, vec![seen_by_batch]);
    let report = health_at(&mut state, start + seconds(100_000));
    assert!(report.is_ok && wait_causes(&report) == ["database"], "{report:?}");
    // A statement that hangs reports nothing, but the ping does.
    let mut state = joined(start, vec![busy(0, start)]);
    state.pinged(false, start);
    state.pinged(false, start + seconds(10));
    let report = health_at(&mut state, start + seconds(100_000));
    assert!(report.is_ok && report.body["waits"][0]["seconds"] == 100_000, "{report:?}");
    // If the statement still hangs after the outage, a restart helps.
    state.pinged(true, start + seconds(100_000));
    assert!(health_at(&mut state, start + seconds(100_044)).is_ok);
    assert!(!health_at(&mut state, start + seconds(100_045)).is_ok);
}

#[test]
fn a_lock_or_a_decision_has_a_generous_limit() {
    for (stage, cause) in [(Stage::SchemaLock, WaitCause::SchemaLock), (Stage::EndOfRun, WaitCause::Decision)]
    {
        let start = Instant::now();
        let waiting = PartitionState { stage: Some((stage, start)), ..busy(0, start) };
        let mut state = joined(start, vec![waiting]);
        let limit = cause.limit().unwrap();
        let report = health_at(&mut state, start + limit - seconds(1));
        assert!(report.is_ok && wait_causes(&report) == [cause.name()], "{report:?}");
        assert!(!health_at(&mut state, start + limit + STALL).is_ok);
    }
}

#[test]
fn partitions_that_wait_for_their_turn_are_not_blamed_for_another() {
    let start = Instant::now();
    let queued = |number| PartitionState { stage: Some((Stage::Connection, start)), ..busy(number, start) };
    let received = |number| {
        let queued = Some(start);
        PartitionState { in_flight: false, stage: None, queued, ..busy(number, start) }
    };
    let mut state = joined(start, vec![busy(0, start), queued(1), received(2)]);
    // Before a wait counts as one, nothing has progressed.
    assert!(health_at(&mut state, start + seconds(10)).is_ok);
    let report = health_at(&mut state, start + STALL);
    assert_eq!(report.body["problems"].as_array().unwrap().len(), 1);
    assert!(report.summary.contains("[0]") && wait_causes(&report) == ["turn"], "{report:?}");
    // No batch uses a connection, so this partition does not wait for its turn.
    let mut state = joined(start, vec![queued(1)]);
    assert!(!health_at(&mut state, start + STALL).is_ok);
}

#[test]
fn a_record_of_a_newer_schema_and_a_contested_group_are_excuses() {
    let start = Instant::now();
    let newer = PartitionState { newer: Some(start), behind: Some(start), ..partition(0, start) };
    let mut state = joined(start, vec![newer]);
    let report = health_at(&mut state, start + seconds(100_000));
    assert!(report.is_ok && wait_causes(&report) == ["newer_schema"], "{report:?}");
    let mut state = joined(start, vec![busy(0, start)]);
    state.contested = Some(start);
    assert!(health_at(&mut state, start + seconds(100)).is_ok);
}

#[test]
fn a_rebalance_does_not_count_against_partitions_and_has_a_limit() {
    let start = Instant::now();
    let mut state = joined(start, vec![busy(0, start)]);
    state.loop_wait = Some(Wait::of_loop(WaitCause::Rebalance, start));
    let limit = WaitCause::Rebalance.limit().unwrap();
    let during = start + limit - seconds(1);
    // The loop does not tick meanwhile.
    assert!(health(&state, during).is_ok);
    // Kafka answers others.
    state.read_end(partition(0, start).topic_partition.id(), 100, during);
    assert!(!health(&state, start + limit).is_ok);
    state.end_loop_wait(None, during);
    assert!(health(&state, during).is_ok);
    assert!(health_at(&mut state, during + STALL - seconds(1)).is_ok);
    assert!(!health_at(&mut state, during + STALL).is_ok);
}

#[test]
fn a_loop_that_hangs_is_the_only_problem() {
    let start = Instant::now();
    let state = joined(start, vec![busy(0, start)]);
    assert!(health(&state, start + STALL - seconds(1)).is_ok);
    let report = health(&state, start + STALL);
    assert_eq!(report.body["problems"].as_array().unwrap().len(), 1);
    assert!(report.summary.contains("the main loop"), "{report:?}");
}

#[test]
fn a_partition_that_is_revoked_leaves_nothing_behind() {
    let start = Instant::now();
    let mut state = joined(start, vec![busy(0, start), busy(1, start)]);
    let kept = Partition::new(partition(1, start).topic_partition, 0, 1);
    state.observe(start + seconds(1), [&kept].into_iter(), CLEAR);
    assert_eq!(state.partitions.len(), 1);
    assert!(state.ends().keys().all(|(_, number)| *number == 1));
}

#[test]
fn what_the_loop_observes_decides_about_progress() {
    let start = Instant::now();
    let mut state = joined(start, Vec::new());
    let mut applying = Partition::new(partition(0, start).topic_partition, 0, 1);
    applying.in_flight = true;
    let mut report = |second: u64, partition: &Partition| {
        state.observe(start + seconds(second), [partition].into_iter(), CLEAR);
        health(&state, start + seconds(second)).is_ok
    };
    assert!((0..45).all(|second| report(second, &applying)));
    applying.position = 5;
    assert!((45..90).all(|second| report(second, &applying)));
    assert!(!report(90, &applying));
    // The process was suspended.
    applying.position = 6;
    assert!(report(91, &applying) && report(500, &applying) && report(504, &applying));
    applying.in_flight = false;
    assert!(report(505, &applying));
}

#[test]
fn the_age_of_the_oldest_record_is_kept_between_batches_and_dropped_at_the_end() {
    let start = Instant::now();
    let id = partition(0, start).topic_partition.id();
    let mut state = joined(start, vec![PartitionState { end: Some(5), ..partition(0, start) }]);
    let mut reading = Partition::new(partition(0, start).topic_partition, 0, 1);
    let observed_at = time::OffsetDateTime::UNIX_EPOCH;
    state.partitions.entry(id).and_modify(|state| state.oldest = Some(observed_at));
    state.observe(start, [&reading].into_iter(), CLEAR);
    assert_eq!(state.partitions[&id].oldest, Some(observed_at));
    reading.position = 5;
    state.observe(start, [&reading].into_iter(), CLEAR);
    assert_eq!((state.partitions[&id].oldest, state.partitions[&id].behind), (None, None));
}
