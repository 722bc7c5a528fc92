//! Dead letters: records that can't be applied go into a table, in the transaction that applies the rest of
//! their batch. Too many of them, and the fault is rather ours than theirs: then the batch is given up.

use std::collections::HashMap;

use catalog_shared::exit::Stop;
use sqlx::PgConnection;

use crate::config::thresholds::DeadLetterThresholds;
use crate::decode::Dead;
use crate::decode::mend::mend_text;
use crate::model::batch::Batch;
use crate::model::end_of_run::EndOfRun;
use crate::model::record::Record;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::positions::PositionRow;

/// Over how many records the share of dead letters is taken.
const WINDOW: i64 = 1000;
/// How many bytes of a reason are kept: it may quote what a stranger wrote.
const REASON_BYTES: usize = 2000;

/// Enters a batch's dead letters and counts them in the books of their runs, each once.
///
/// # Errors
/// [`Stop::Guard`] where there are too many, or what the database says.
pub(crate) async fn enter(
    tx: &mut PgConnection,
    batch: &Batch,
    row: &PositionRow,
    (dead, markers): (&[Dead], &[EndOfRun]),
    thresholds: DeadLetterThresholds,
) -> anyhow::Result<()> {
    if dead.is_empty() {
        return Ok(());
    }
    insert(tx, batch, row, dead, markers).await?;
    if batch.place.kind == TopicKind::DeadLetters {
        return Ok(());
    }
    let window = WINDOW.max(i64::from(thresholds.in_row) + 1);
    let recent: Vec<i64> = sqlx::query_scalar(include_str!("../../sql/apply/recent_dead_letters.sql"))
        .bind(&batch.place.topic)
        .bind(batch.place.partition)
        .bind(row.records - window)
        .fetch_all(tx)
        .await?;
    match thresholds.excess(&recent, row.records) {
        None => Ok(()),
        Some((ordinal, rule)) => Err(refuse(batch, row, dead, ordinal, &rule).into()),
    }
}

async fn insert(
    tx: &mut PgConnection,
    batch: &Batch,
    row: &PositionRow,
    dead: &[Dead],
    markers: &[EndOfRun],
) -> sqlx::Result<()> {
    let place: HashMap<i64, usize> =
        batch.records.iter().enumerate().map(|(place, record)| (record.offset, place)).collect();
    let letters: Vec<(&Dead, usize)> =
        dead.iter().filter_map(|dead| Some((dead, *place.get(&dead.offset)?))).collect();
    let records: Vec<&Record> = letters.iter().map(|(_, place)| &batch.records[*place]).collect();
    let counts = |record: &&Record| {
        batch.place.kind != TopicKind::DeadLetters
            && record.offset >= row.counted_to
            && record.origin.is_some_and(|run| !markers.iter().any(|marked| marked.ends(run, record.offset)))
    };
    sqlx::query(include_str!("../../sql/apply/enter_dead_letters.sql"))
        .bind(&batch.place.topic)
        .bind(batch.place.partition)
        .bind(records.iter().map(|record| record.offset).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.key.as_deref()).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.value.as_deref()).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.headers.to_json()).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.origin.map(|(region, _)| region.name())).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.origin.map(|(_, run)| i64::from(run))).collect::<Vec<_>>())
        .bind(letters.iter().map(|(dead, _)| storable(&dead.reason)).collect::<Vec<_>>())
        .bind(records.iter().map(counts).collect::<Vec<_>>())
        .bind(letters.iter().map(|(_, place)| ordinal(row, *place)).collect::<Vec<_>>())
        .bind(letters.iter().map(|(dead, _)| dead.refused).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// The place of a batch's record among all that its partition has had applied, from 1.
fn ordinal(row: &PositionRow, place: usize) -> i64 {
    row.records + 1 + i64::try_from(place).unwrap_or(i64::MAX)
}

/// A reason as PostgreSQL takes it.
pub(crate) fn storable(reason: &str) -> String {
    mend_text(&reason[..reason.floor_char_boundary(REASON_BYTES)]).into_owned()
}

impl DeadLetterThresholds {
    /// The first record behind `before` that is a dead letter too many, by the ascending ordinals of the
    /// recent ones, and the limit that it exceeds.
    fn excess(self, recent: &[i64], before: i64) -> Option<(i64, String)> {
        let (mut first, mut in_row, mut previous) = (0, 0_u32, None);
        for (place, ordinal) in recent.iter().enumerate() {
            in_row = if previous == Some(ordinal - 1) { in_row + 1 } else { 1 };
            previous = Some(*ordinal);
            while recent[first] <= ordinal - WINDOW {
                first += 1;
            }
            let count = place + 1 - first;
            if *ordinal <= before {
                continue;
            }
            if in_row > self.in_row {
                let rule =
                    format!("{in_row} records one after the other (--max-dead-in-row {})", self.in_row);
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

/// What is said when there are too many.
fn refuse(batch: &Batch, row: &PositionRow, dead: &[Dead], ordinal: i64, rule: &str) -> Stop {
    let place = usize::try_from(ordinal - row.records - 1).unwrap_or_default();
    let last =
        batch.records.get(place).and_then(|record| dead.iter().find(|dead| dead.offset == record.offset));
    let last = last.map_or_else(String::new, |dead| name(&batch.place, dead, batch));
    let TopicPartition { topic, partition, .. } = &batch.place;
    let from = dead.first().map_or(batch.from, |dead| dead.offset);
    Stop::Guard(format!(
        "{rule} of {topic}[{partition}] can't be applied, the last one being {last}. Nothing of the batch was \
         written, and a new start stops here again. Look at them, such as with `kcat -C -t {topic} -p {partition} \
         -o {from} -c 10`. If the records are in order, this build or this database is not: mend that. If \
         they are to be put aside, start once with higher limits, and look after them with `catalog-consumer \
         dead-letters`: those that are replayed or discarded count no more"
    ))
}

/// Says that a batch's records have become dead letters.
pub(crate) fn log(batch: &Batch, dead: &[Dead]) {
    let Some(first) = dead.first() else { return };
    let count = dead.len();
    if batch.place.kind == TopicKind::DeadLetters {
        tracing::info!(count, "dead letters of producers have arrived");
        return;
    }
    let first = name(&batch.place, first, batch);
    tracing::warn!(count, first, "records that can't be applied are dead letters now");
}

/// Names a record that is dead, and the rule that it breaks.
pub(crate) fn name(place: &TopicPartition, dead: &Dead, batch: &Batch) -> String {
    let record = batch.records.iter().find(|record| record.offset == dead.offset);
    let key = record.and_then(|record| record.key.as_deref()).map(String::from_utf8_lossy);
    let key =
        key.map_or_else(|| "no key".to_owned(), |key| format!("key {:?}", crate::decode::values::cut(&key)));
    format!(
        "offset {} of {}[{}], {key}: {}",
        dead.offset,
        place.topic,
        place.partition,
        storable(&dead.reason)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DeadLetterThresholds = DeadLetterThresholds { share: 0.1, in_row: 50 };

    fn first(recent: &[i64], before: i64) -> Option<i64> {
        LIMITS.excess(recent, before).map(|(ordinal, _)| ordinal)
    }

    #[test]
    fn a_few_at_the_beginning_and_a_tenth_of_many_are_borne() {
        assert_eq!(first(&[1, 2, 4, 5], 0), None);
        let tenth: Vec<i64> = (0..300).map(|place| place * 10 + 1).collect();
        assert_eq!(first(&tenth, 0), None);
    }

    #[test]
    fn one_more_than_a_tenth_of_the_last_thousand_is_too_many() {
        let mut recent: Vec<i64> = (0..100).map(|place| place * 10 + 1).collect();
        recent.push(1000);
        assert_eq!(first(&recent, 0), Some(1000));
        // The first has left the window by then.
        recent[100] = 1001;
        assert_eq!(first(&recent, 0), None);
    }

    #[test]
    fn too_many_in_a_row_are_told_wherever_a_batch_begins() {
        let recent: Vec<i64> = (7..=100).collect();
        for before in [0, 20, 56] {
            assert_eq!(first(&recent, before), Some(57), "{before}");
        }
        // A batch without a dead letter of its own stops nothing.
        assert_eq!(first(&recent, 100), None);
        let broken: Vec<i64> = (7..=90).filter(|ordinal| *ordinal != 50).collect();
        assert_eq!(first(&broken, 0), None);
    }
}
