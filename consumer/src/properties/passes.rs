//! A rebuild in two passes ends in the same rows as one that applies every version, even if compaction removes records between
//! the passes.

use std::collections::{BTreeSet, HashSet};

use anyhow::Result;
use catalog_shared::shutdown::CancellationToken;
use tokio::sync::Semaphore;

use super::generate::{Case, Drain};
use super::log::{Log, LogRecord, Spot, topic_partition};
use super::tables::Tables;
use super::{check_property, same};
use crate::commands::rebuild::{NewestVersions, Selection, apply_to_shadow};
use crate::config::thresholds::{AnswerLimits, BatchSettings, DeadLetterThresholds, RunThresholds};
use crate::decode::row_key::{Head, RowId};
use crate::model::batch::Batch;
use crate::model::record::Record;
use crate::model::topic::PartitionId;
use crate::store::positions;

/// Any number of dead letters is allowed, and no run is judged.
const SETTINGS: BatchSettings = BatchSettings {
    dead: DeadLetterThresholds { share: 1.0, in_row: u32::MAX },
    runs: RunThresholds { max_retire_share: 1.0, min_seen_share: 0.0, confirm_after: 2, large_domain: 2 },
    synchronous_commit: false,
    limits: AnswerLimits::DEFAULT,
};

#[test]
fn two_passes_end_in_the_same_rows_as_one() {
    check_property("passes", &async |[one, two, _], case| {
        let first = log(case);
        // What is left when the records are read again.
        let second = first.compacted(&case.dropped);
        pass(one, &second, &case.drain, &mut Selection::All).await?;
        two_passes(two, (&first, &second), &case.replay).await?;
        same("tables", &one.contents().await?, &two.contents().await?)?;
        same("dead letters without a row", &without_row(one).await?, &without_row(two).await?)
    });
}

/// The log of a case. Some older versions are written once more, after newer ones.
fn log(case: &Case) -> Log {
    let (mut log, mut choices) = (Log::of(&case.runs), case.dropped.iter().copied().cycle());
    for (spot, records) in &mut log.records {
        let end = log.ends.entry(*spot).or_default();
        let is_chosen = |record: &&LogRecord| record.end_record.is_none() && choices.next() == Some(true);
        let copies: Vec<LogRecord> = records.iter().filter(is_chosen).cloned().collect();
        for copy in copies {
            records.push(LogRecord { offset: *end, ..copy });
            *end += 1;
        }
    }
    log
}

async fn two_passes(tables: &Tables, (first, second): (&Log, &Log), drain: &Drain) -> Result<()> {
    let mut newest = NewestVersions::default();
    for spot in first.spots() {
        for record in first.received(spot) {
            newest.add(id(spot), record.offset, &Head::of(&record))?;
        }
    }
    let mut selection = Selection::Offsets(newest.select(&CancellationToken::new())?);
    let unapplied = pass(tables, second, drain, &mut selection).await?;
    if let Some(mut missed) = selection.missed(unapplied) {
        pass(tables, second, drain, &mut missed).await?;
    }
    Ok(())
}

fn id(spot: Spot) -> PartitionId {
    topic_partition(spot).id()
}

/// Applies the selected records of a log from its beginning, as to a shadow, one batch per partition in turn. Returns the
/// rows of the records that became dead letters.
async fn pass(
    tables: &Tables,
    log: &Log,
    drain: &Drain,
    selection: &mut Selection,
) -> Result<HashSet<RowId>> {
    let (mut unapplied, mut open) = (HashSet::new(), Vec::new());
    for spot in log.spots() {
        positions::start(&tables.pool, &topic_partition(spot), None, 0).await?;
        open.push((spot, 0));
    }
    tables.count_nothing_from_the_beginning().await?;
    if !open.is_empty() {
        open.rotate_left(drain.first.index(log.spots().len()));
    }
    while !open.is_empty() {
        for (spot, from) in &mut open {
            let batch = selected(log.batch(*spot, *from, drain.batch), selection);
            let applied = apply_to_shadow(&tables.pool, &Semaphore::new(1), batch, SETTINGS).await?;
            *from = applied.to;
            unapplied.extend(applied.unapplied);
        }
        open.retain(|(spot, from)| *from < log.ends[spot]);
    }
    Ok(unapplied)
}

fn selected(mut batch: Batch, selection: &mut Selection) -> Batch {
    let id = batch.topic_partition.id();
    for record in &mut batch.records {
        let row = Head::of(record).find_row(id.0);
        if !selection.contains(id, record.offset, || row) {
            *record = Record::superseded(record.offset);
        }
    }
    batch
}

/// The keys of dead letters for which there is no row. A rebuild keeps the live rows of these.
async fn without_row(tables: &Tables) -> Result<BTreeSet<(String, String)>> {
    let keys: Vec<(String, String)> = sqlx::query_as(
        "select topic, convert_from(key, 'UTF8') from dead_letters
         except
         select 'datasets', concat_ws('/', region, domain, id) from socrata_datasets
         except
         select 'domains', concat_ws('/', region, domain) from socrata_domains
         except
         select 'hosts', concat_ws('/', region, host) from socrata_hosts
         except
         select 'agencies', concat_ws('/', region, host, agency) from socrata_agencies",
    )
    .fetch_all(&tables.pool)
    .await?;
    Ok(keys.into_iter().collect())
}
