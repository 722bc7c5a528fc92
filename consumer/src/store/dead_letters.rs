//! Dead letters: records that can't be applied are stored in a table, in the transaction that applies the rest of
//! their batch. Too many of them suggest a fault of this program or of the database, so the program stops.

use std::collections::HashMap;

use catalog_shared::events;
use catalog_shared::exit::Stop;
use sqlx::PgConnection;

use crate::config::thresholds::DeadLetterThresholds;
use crate::decode::Dead;
use crate::decode::sanitize::sanitize_text;
use crate::model::batch::Batch;
use crate::model::record::Record;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::positions::PositionRow;

/// The number of records over which the share of dead letters is computed.
const WINDOW: i64 = 1000;
/// The maximum length of a reason in bytes, because it may quote untrusted input.
const REASON_BYTES: usize = 2000;

/// Stores a batch's dead letters and counts each of them once in the ledger of its run.
///
/// # Errors
/// [`Stop::Guard`] if there are too many, or the error of the database.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    batch: &Batch,
    row: &PositionRow,
    dead: &[Dead],
    thresholds: DeadLetterThresholds,
) -> anyhow::Result<()> {
    if dead.is_empty() {
        return Ok(());
    }
    insert_rows(tx, batch, row, dead).await?;
    if batch.topic_partition.kind == TopicKind::DeadLetters {
        return Ok(());
    }
    let window = WINDOW.max(i64::from(thresholds.in_row) + 1);
    let recent: Vec<i64> = sqlx::query_scalar(include_str!("../../sql/apply/recent_dead_letters.sql"))
        .bind(&batch.topic_partition.topic)
        .bind(batch.topic_partition.partition)
        .bind(row.records - window)
        .fetch_all(tx)
        .await?;
    match thresholds.excess(&recent, row.records) {
        None => Ok(()),
        Some((ordinal, rule)) => Err(too_many(batch, row, dead, ordinal, &rule).into()),
    }
}

async fn insert_rows(
    tx: &mut PgConnection,
    batch: &Batch,
    row: &PositionRow,
    dead: &[Dead],
) -> sqlx::Result<()> {
    let indexes: HashMap<i64, usize> =
        batch.records.iter().enumerate().map(|(index, record)| (record.offset, index)).collect();
    let letters: Vec<(&Dead, usize)> =
        dead.iter().filter_map(|dead| Some((dead, *indexes.get(&dead.offset)?))).collect();
    let records: Vec<&Record> = letters.iter().map(|(_, index)| &batch.records[*index]).collect();
    let counts = |record: &&Record| {
        batch.topic_partition.kind != TopicKind::DeadLetters
            && record.offset >= row.counted_to
            && record.origin.is_some()
    };
    sqlx::query(include_str!("../../sql/apply/insert_dead_letters.sql"))
        .bind(&batch.topic_partition.topic)
        .bind(batch.topic_partition.partition)
        .bind(records.iter().map(|record| record.offset).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.key.as_deref()).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.value.as_deref()).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.headers.to_json()).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.origin.map(|(region, _)| region.name())).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.origin.map(|(_, run)| i64::from(run))).collect::<Vec<_>>())
        .bind(letters.iter().map(|(dead, _)| storable(&dead.reason)).collect::<Vec<_>>())
        .bind(records.iter().map(counts).collect::<Vec<_>>())
        .bind(letters.iter().map(|(_, index)| ordinal(row, *index)).collect::<Vec<_>>())
        .bind(letters.iter().map(|(dead, _)| dead.refused).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// The number of a batch's record among all applied records of its partition, from 1.
fn ordinal(row: &PositionRow, index: usize) -> i64 {
    row.records + 1 + i64::try_from(index).unwrap_or(i64::MAX)
}

/// A reason that PostgreSQL can store: shortened and sanitized.
pub(crate) fn storable(reason: &str) -> String {
    sanitize_text(&reason[..reason.floor_char_boundary(REASON_BYTES)]).into_owned()
}

impl DeadLetterThresholds {
    /// The first dead letter after `before` that exceeds a threshold, and that threshold. `recent` contains the ordinals
    /// of the recent dead letters in ascending order.
    fn excess(self, recent: &[i64], before: i64) -> Option<(i64, String)> {
        let (mut first, mut in_row, mut previous) = (0, 0_u32, None);
        for (index, ordinal) in recent.iter().enumerate() {
            in_row = if previous == Some(ordinal - 1) { in_row + 1 } else { 1 };
            previous = Some(*ordinal);
            while recent[first] <= ordinal - WINDOW {
                first += 1;
            }
            let count = index + 1 - first;
            if *ordinal <= before {
                continue;
            }
            if in_row > self.in_row {
                let rule = format!("{in_row} records in a row (--max-dead-in-row {})", self.in_row);
                return Some((*ordinal, rule));
            }
            if count as f64 > self.share * WINDOW as f64 {
                let rule = format!("{count} of the last {WINDOW} records (--max-dead-share {})", self.share);
                return Some((*ordinal, rule));
            }
        }
        None
    }
}

/// The error if there are too many.
fn too_many(batch: &Batch, row: &PositionRow, dead: &[Dead], ordinal: i64, rule: &str) -> Stop {
    let index = usize::try_from(ordinal - row.records - 1).unwrap_or_default();
    let last =
        batch.records.get(index).and_then(|record| dead.iter().find(|dead| dead.offset == record.offset));
    let last = last.map_or_else(String::new, |dead| describe(&batch.topic_partition, dead, batch));
    let TopicPartition { topic, partition, .. } = &batch.topic_partition;
    let from = dead.first().map_or(batch.from, |dead| dead.offset);
    Stop::Guard(format!(
        "{rule} of {topic}[{partition}] can't be applied, the last one being {last}. Nothing of the batch was \
         written, and a restart stops here again. Inspect them, for example with `kcat -C -t {topic} -p {partition} \
         -o {from} -c 10`. If the records are valid, fix this build or this database. If \
         they are not, start once with higher thresholds and resolve them with `catalog-consumer \
         dead-letters`: replayed or discarded ones no longer count"
    ))
}

/// Logs that a batch's records became dead letters.
pub(crate) fn log(batch: &Batch, dead: &[Dead]) {
    let Some(first) = dead.first() else { return };
    let count = dead.len();
    if batch.topic_partition.kind == TopicKind::DeadLetters {
        tracing::info!(
            event = events::PRODUCER_DEAD_LETTERS_WRITTEN,
            count,
            "dead letters of producers were stored"
        );
        return;
    }
    let first = describe(&batch.topic_partition, first, batch);
    tracing::warn!(
        event = events::DEAD_LETTERS_WRITTEN,
        count,
        first,
        "records that can't be applied were stored as dead letters"
    );
}

/// Describes a dead letter: offset, partition, key and reason.
fn describe(topic_partition: &TopicPartition, dead: &Dead, batch: &Batch) -> String {
    let record = batch.records.iter().find(|record| record.offset == dead.offset);
    let key = record.and_then(|record| record.key.as_deref()).map(String::from_utf8_lossy);
    let key = key.map_or_else(
        || "no key".to_owned(),
        |key| format!("key {:?}", crate::decode::values::truncated(&key)),
    );
    format!("offset {} of {topic_partition}, {key}: {}", dead.offset, storable(&dead.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DeadLetterThresholds = DeadLetterThresholds { share: 0.1, in_row: 50 };

    fn first(recent: &[i64], before: i64) -> Option<i64> {
        LIMITS.excess(recent, before).map(|(ordinal, _)| ordinal)
    }

    #[test]
    fn a_few_at_the_beginning_and_a_tenth_of_many_are_accepted() {
        assert_eq!(first(&[1, 2, 4, 5], 0), None);
        let tenth: Vec<i64> = (0..300).map(|index| index * 10 + 1).collect();
        assert_eq!(first(&tenth, 0), None);
    }

    #[test]
    fn one_more_than_a_tenth_of_the_last_thousand_is_too_many() {
        let mut recent: Vec<i64> = (0..100).map(|index| index * 10 + 1).collect();
        recent.push(1000);
        assert_eq!(first(&recent, 0), Some(1000));
        // The first one is outside the window then.
        recent[100] = 1001;
        assert_eq!(first(&recent, 0), None);
    }

    #[test]
    fn too_many_in_a_row_are_found_wherever_a_batch_begins() {
        let recent: Vec<i64> = (7..=100).collect();
        for before in [0, 20, 56] {
            assert_eq!(first(&recent, before), Some(57), "{before}");
        }
        // A batch without dead letters never stops the program.
        assert_eq!(first(&recent, 100), None);
        let broken: Vec<i64> = (7..=90).filter(|ordinal| *ordinal != 50).collect();
        assert_eq!(first(&broken, 0), None);
    }
}
