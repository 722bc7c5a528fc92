//! What many partitions and the loop wait for: an outage, space in the buffer, and answers.

use super::*;

/// A partition with received records and no batch in flight.
fn received(number: i32, now: Instant) -> PartitionState {
    PartitionState { in_flight: false, stage: None, queued: Some(now), ..busy(number, now) }
}

/// A partition that has new records, none of which was received.
fn behind(number: i32, now: Instant) -> PartitionState {
    PartitionState { end: Some(100), behind: Some(now), queued: Some(now), ..partition(number, now) }
}

fn problems_of(report: &HealthResponse) -> usize {
    report.body["problems"].as_array().unwrap().len()
}

/// Ticks each second, with ends that were just read. Returns the last report.
fn tick(state: &mut State, from: Instant, count: u64) -> HealthResponse {
    let ids: Vec<_> = state.partitions.keys().copied().collect();
    let mut report = health(state, from);
    for second in 0..=count {
        let now = from + seconds(second);
        ids.iter().for_each(|id| state.read_end(*id, 100, now));
        report = health_at(state, now);
    }
    report
}

#[test]
fn an_outage_that_only_a_batch_sees_is_an_excuse_for_all_partitions() {
    let start = Instant::now();
    let failing = PartitionState { database_down: Some(start), stage: None, ..busy(0, start) };
    let connecting = PartitionState { stage: Some((Stage::Connection, start)), ..busy(1, start) };
    // A standby answers the check, but refuses to write.
    let mut state = joined(start, vec![failing, connecting, received(2, start)]);
    state.pinged(true, start);
    let report = tick(&mut state, start, 1_000);
    assert!(report.is_ok && wait_causes(&report) == ["database"], "{report:?}");
    assert_eq!(report.body["partitions"][2]["waits_for"], "database");
    // A partition whose records are still in Kafka does not need the database.
    state.partitions.insert(behind(3, start).topic_partition.id(), behind(3, start));
    let report = tick(&mut state, start + seconds(1_001), 45);
    assert!(problems_of(&report) == 1 && report.summary.contains("[3]"), "{report:?}");
}

#[test]
fn an_outage_of_kafka_is_a_wait_of_a_consumer_that_has_applied_everything_or_lost_its_partitions() {
    let start = Instant::now();
    let idle = PartitionState { end: Some(0), ..partition(0, start) };
    for partitions in [vec![idle], Vec::new()] {
        let mut state = joined(start, partitions);
        assert!(wait_causes(&health_at(&mut state, start + seconds(900))).is_empty());
        state.kafka_asked(false, start);
        state.kafka_asked(false, start + seconds(800));
        let report = health_at(&mut state, start + seconds(900));
        assert!(report.is_ok && wait_causes(&report) == ["kafka"], "{report:?}");
        assert_eq!(report.body["waits"][0]["seconds"], 900);
        state.kafka_asked(true, start + seconds(900));
        assert!(wait_causes(&health_at(&mut state, start + seconds(901))).is_empty());
    }
}

#[test]
fn partitions_are_not_blamed_for_a_batch_that_fails_again_and_again() {
    let start = Instant::now();
    // Between two attempts. The database is not down: the statement times out.
    let failing = PartitionState { stage: None, ..busy(0, start) };
    let mut state = joined(start, vec![failing, received(1, start)]);
    let report = tick(&mut state, start, 45);
    assert!(problems_of(&report) == 1 && report.summary.contains("[0]"), "{report:?}");
}

#[test]
fn while_the_buffer_is_full_no_partition_is_blamed_for_receiving_nothing() {
    let start = Instant::now();
    let locked = PartitionState { stage: Some((Stage::SchemaLock, start)), ..busy(0, start) };
    let mut state = joined(start, vec![locked, received(1, start), behind(2, start)]);
    state.buffer_full = Some(start + seconds(3));
    let report = tick(&mut state, start, 1_000);
    assert!(report.is_ok && wait_causes(&report) == ["schema_lock", "turn"], "{report:?}");
    // With space, it would have received something.
    state.buffer_full = None;
    let report = tick(&mut state, start + seconds(1_001), 45);
    assert!(problems_of(&report) == 1 && report.summary.contains("[2]"), "{report:?}");
    // The buffer is full because the database is down.
    let failing = PartitionState { database_down: Some(start), stage: None, ..busy(0, start) };
    let mut state = joined(start, vec![failing, behind(2, start)]);
    state.buffer_full = Some(start);
    let report = tick(&mut state, start, 1_000);
    assert!(report.is_ok && wait_causes(&report) == ["database"], "{report:?}");
}

#[test]
fn the_loop_observes_whether_there_is_space_and_since_when_a_partition_waits_for_its_turn() {
    let start = Instant::now();
    let id = partition(0, start).topic_partition.id();
    let mut state = joined(start, vec![PartitionState { end: Some(100), ..partition(0, start) }]);
    let mut reading = Partition::new(partition(0, start).topic_partition, 0, 1);
    let full = LoopState { may_buffer_more: false, ..CLEAR };
    let mut turn = |second: u64, reading: &Partition, seen| {
        let now = start + seconds(second);
        state.observe(now, [reading].into_iter(), seen);
        let wait = state.wait(&state.partitions[&id], now)?;
        (wait.cause == WaitCause::OtherBatches).then(|| now.saturating_duration_since(wait.since).as_secs())
    };
    assert_eq!(turn(0, &reading, CLEAR), None);
    assert_eq!(turn(1, &reading, full), Some(0));
    assert_eq!(turn(4, &reading, full), Some(3));
    // It had a batch between two looks.
    reading.position = 5;
    assert_eq!(turn(5, &reading, full), Some(0));
    reading.in_flight = true;
    assert_eq!(turn(6, &reading, full), None);
    reading.in_flight = false;
    assert_eq!((turn(7, &reading, full), turn(8, &reading, CLEAR)), (Some(0), None));
}

#[test]
fn a_partition_that_only_skips_the_end_of_a_transaction_waits_for_its_turn_too() {
    let start = Instant::now();
    let mut state = joined(start, Vec::new());
    let mut locked = Partition::new(partition(0, start).topic_partition, 0, 1);
    locked.in_flight = true;
    locked.handle.stages().enter(Stage::SchemaLock);
    let mut skipping = Partition::new(partition(1, start).topic_partition, 4, 1);
    skipping.advance_read_to(1, 5);
    // Its batch has to wait until another one has left a connection. This one waits for a migration.
    for second in 0..=200 {
        let now = start + seconds(second);
        state.observe(now, [&locked, &skipping].into_iter(), CLEAR);
        state.read_end(skipping.topic_partition.id(), 5, now);
    }
    let report = health(&state, start + seconds(200));
    assert!(report.is_ok && report.body["partitions"][1]["waits_for"] == "turn", "{report:?}");
    // No batch uses a connection.
    locked.in_flight = false;
    for second in 201..=250 {
        state.observe(start + seconds(second), [&locked, &skipping].into_iter(), CLEAR);
    }
    let report = health(&state, start + seconds(250));
    assert!(problems_of(&report) == 1 && report.summary.contains("[1]"), "{report:?}");
}

/// Ticks each second; each time the loop begins another wait of half a second. Returns the last report.
fn wait_again_and_again(state: &mut State, start: Instant, waited_for: Option<i32>) -> HealthResponse {
    let mut report = health(state, start);
    for second in 0..100 {
        let tick = start + seconds(second);
        state.read_end(partition(0, start).topic_partition.id(), 100, tick);
        state.looped = tick;
        state.judge_progress(tick);
        let begins = tick + Duration::from_millis(500);
        state.loop_wait = Some(Wait::of_loop(WaitCause::Kafka, begins));
        let waited_for = waited_for.map(|number| partition(number, start).topic_partition.id());
        state.end_loop_wait(waited_for, begins + Duration::from_millis(500));
        report = health(state, begins + Duration::from_millis(500));
    }
    report
}

#[test]
fn only_the_time_of_a_wait_does_not_count_against_partitions() {
    let start = Instant::now();
    let mut state = joined(start, vec![busy(0, start)]);
    let report = wait_again_and_again(&mut state, start, None);
    assert!(report.summary.contains("no progress for 50 s"), "{report:?}");
    // A seek that fails again and again counts against its own partition.
    let mut state = joined(start, vec![behind(0, start), busy(1, start)]);
    let report = wait_again_and_again(&mut state, start, Some(0));
    assert!(report.summary.contains("[0] has had no progress for 100 s"), "{report:?}");
    assert!(report.body["problems"][1].as_str().unwrap().contains("no progress for 50 s"), "{report:?}");
}

#[test]
fn a_wait_of_the_loop_has_a_limit_unless_an_outage_is_known() {
    let start = Instant::now();
    for cause in [WaitCause::Kafka, WaitCause::Rebalance] {
        let mut state = joined(start, vec![PartitionState { end: Some(0), ..partition(0, start) }]);
        state.loop_wait = Some(Wait::of_loop(cause, start));
        let late = start + seconds(100_000);
        let mut healthy_at = |read: Duration, now| {
            state.read_end(partition(0, start).topic_partition.id(), 0, start + read);
            health(&state, now).is_ok
        };
        assert!(healthy_at(seconds(299), start + seconds(299)));
        // Kafka answers others, so the polling thread hangs.
        assert!(!healthy_at(seconds(290), start + seconds(300)));
        assert!(healthy_at(seconds(290), start + seconds(315)) && healthy_at(seconds(290), late));
        assert!(!healthy_at(seconds(100_000), late));
        state.pinged(false, start);
        assert!(health(&state, late).is_ok);
        state.pinged(true, late);
        assert_eq!(health(&state, late).body["waits"][0]["limit_seconds"], 300);
    }
}

#[test]
fn a_postponed_change_has_no_limit_and_excuses_no_partition() {
    let start = Instant::now();
    let mut state = joined(start, vec![PartitionState { end: Some(0), ..partition(0, start) }]);
    state.rebalanced(true, start);
    let report = health_at(&mut state, start + seconds(100_000));
    assert!(report.is_ok && report.body["waits"][0]["limit_seconds"].is_null(), "{report:?}");
    assert_eq!(report.body["waits"][0]["cause"], "rebalance");
    let mut state = joined(start, vec![busy(0, start)]);
    state.rebalanced(true, start);
    assert!(!health_at(&mut state, start + STALL).is_ok);
}
