use catalog_shared::record::{Content, RecordHeaders, RecordType, Version};
use catalog_shared::region::Region;

use super::*;
use crate::model::topic::TopicKind;

fn partition(offsets: &[i64], now: Instant) -> Partition {
    let kind = TopicKind::Data(RecordType::Hosts);
    let topic_partition = TopicPartition { kind, topic: "socrata.hosts".into(), partition: 0 };
    let mut partition = Partition::new(topic_partition, 10, 1);
    for offset in offsets {
        let headers = None::<&rdkafka::message::OwnedHeaders>;
        partition.push(Record::read(*offset, headers).unwrap(), now);
    }
    partition
}

#[test]
fn batches_are_due_when_full_or_old_and_one_at_a_time() {
    let now = Instant::now();
    let mut partition = partition(&[10, 11, 15], now);
    assert!(!partition.is_due(4, now));
    assert!(partition.is_due(4, now + LINGER));
    assert!(partition.is_due(2, now));
    let batch = partition.take_batch(2, now).unwrap();
    assert_eq!((batch.from, batch.to, batch.records.len()), (10, 12, 2));
    assert!(!partition.is_due(1, now + LINGER));
    partition.applied(12);
    let rest = partition.take_batch(2, now).unwrap();
    assert_eq!((rest.from, rest.to, partition.bytes), (12, 16, 0));
}

#[test]
fn end_of_run_records_are_a_batch_of_their_own_and_due_at_once() {
    let now = Instant::now();
    let mut partition = partition(&[10, 11], now);
    let stamp = RecordHeaders {
        content: Content::EndRecord,
        region: Region::Us,
        version: Version { run: 1, page: 1 },
        observed_at: OffsetDateTime::UNIX_EPOCH,
    };
    for offset in [12, 13] {
        partition.push(Record::read(offset, Some(&stamp.to_headers())).unwrap(), now);
    }
    partition.push(Record::read(14, None::<&rdkafka::message::OwnedHeaders>).unwrap(), now);
    let rows = partition.take_batch(4, now).unwrap();
    assert_eq!((rows.from, rows.to), (10, 12));
    partition.applied(12);
    assert!(partition.is_due(4, now));
    let ends = partition.take_batch(4, now).unwrap();
    assert_eq!((ends.from, ends.to), (12, 14));
    partition.applied(14);
    assert!(!partition.is_due(4, now) && partition.is_due(4, now + LINGER));
}

#[test]
fn steps_past_offsets_without_records_wait_for_the_records() {
    let now = Instant::now();
    let mut partition = partition(&[10], now);
    assert!(partition.empty_batch_to(12).is_none());
    partition.take_batch(1, now).unwrap();
    assert!(partition.empty_batch_to(12).is_none());
    partition.applied(11);
    let step = partition.empty_batch_to(12).unwrap();
    assert_eq!((step.from, step.to), (11, 12));
}

#[test]
fn after_a_restart_nothing_moves_until_the_seek_is_done() {
    let mut partition = partition(&[10, 11], Instant::now());
    partition.restart(40);
    assert!(!partition.accepts_records());
    assert!(partition.empty_batch_to(50).is_none());
    assert_eq!((partition.position, partition.bytes), (40, 0));
}

fn chunk(epoch: u64, offsets: &[i64]) -> Chunk {
    let mut chunk = Chunk::new(epoch);
    let record = |offset| Record::read(offset, None::<&rdkafka::message::OwnedHeaders>);
    offsets.iter().for_each(|offset| chunk.push(*offset, record(*offset)));
    chunk
}

#[test]
fn chunks_from_before_an_assignment_or_a_seek_are_dropped() {
    let now = Instant::now();
    let mut partition = partition(&[], now);
    assert!(!partition.accept(chunk(0, &[3, 4]), now));
    assert!(partition.accept(chunk(1, &[10, 11]), now));
    partition.restart(40);
    // Neither before nor after the seek.
    assert!(!partition.accept(chunk(1, &[12]), now));
    partition.seek_done(2);
    assert!(!partition.accept(chunk(1, &[13]), now));
    assert!(partition.accept(chunk(2, &[40]), now));
    let batch = partition.take_batch(10, now).unwrap();
    assert_eq!((batch.from, batch.to, batch.records.len()), (40, 41, 1));
}

#[test]
fn a_position_from_before_a_seek_moves_nothing() {
    let mut partition = partition(&[], Instant::now());
    partition.restart(4);
    partition.advance_read_to(1, 50);
    partition.seek_done(2);
    partition.advance_read_to(1, 50);
    assert!(partition.skip_to_end_of_received().is_none());
    partition.advance_read_to(2, 6);
    let step = partition.skip_to_end_of_received().unwrap();
    assert_eq!((step.from, step.to), (4, 6));
}

#[test]
fn nothing_is_accepted_behind_a_newer_schema() {
    let now = Instant::now();
    let mut partition = partition(&[], now);
    let mut last = chunk(1, &[10]);
    last.push(11, Err(2));
    assert!(partition.accept(last, now));
    assert!(!partition.accept(chunk(1, &[12]), now));
    partition.advance_read_to(1, 13);
    let batch = partition.take_batch(10, now).unwrap();
    assert_eq!((batch.to, partition.newer.map(|newer| newer.offset)), (11, Some(11)));
    partition.applied(11);
    assert!(partition.skip_to_end_of_received().is_none());
}

#[test]
fn a_partition_is_paused_when_full_and_resumed_when_nearly_empty() {
    let mut partition = partition(&[], Instant::now());
    assert_eq!(partition.pause_changes(), None);
    partition.bytes = PAUSE_BYTES;
    assert_eq!(partition.pause_changes(), Some(true));
    partition.paused = true;
    partition.bytes = RESUME_BYTES + 1;
    assert_eq!(partition.pause_changes(), None);
    partition.bytes = RESUME_BYTES;
    assert_eq!(partition.pause_changes(), Some(false));
    partition.newer = Some(NewerRecord { offset: 10, schema: 2 });
    assert_eq!(partition.pause_changes(), None);
}

#[test]
fn a_newer_schema_blocks_a_partition_once_all_earlier_records_are_applied() {
    let now = Instant::now();
    let mut partition = partition(&[10], now);
    let newer = NewerRecord { offset: 11, schema: 2 };
    partition.newer = Some(newer);
    assert_eq!(partition.blocking_record(), None);
    partition.take_batch(1, now).unwrap();
    assert_eq!(partition.blocking_record(), None);
    partition.applied(11);
    assert_eq!(partition.blocking_record(), Some(newer));
}

#[test]
fn a_partition_whose_batch_waits_for_the_database_is_paused() {
    let mut partition = partition(&[], Instant::now());
    partition.handle.set_waits(true);
    assert_eq!(partition.pause_changes(), Some(true));
    partition.paused = true;
    partition.handle.set_waits(false);
    assert_eq!(partition.pause_changes(), Some(false));
}
