//! Decodes end-of-run records. Their counts are stored in the ledger and summed there.

use std::ops::RangeInclusive;

use catalog_shared::end_record::EndRecord;
use time::UtcOffset;

use crate::decode::json;
use crate::decode::sanitize::sanitize_json;

/// The accepted numbers of partitions of a topic. The maximum is more than Kafka supports.
const PARTITIONS: RangeInclusive<i32> = 0..=1_000_000;

/// Decodes the end-of-run record of a run.
///
/// # Errors
/// The reason why the record is invalid. The producer never writes an invalid one.
pub(crate) fn read(value: &[u8], run: u32) -> Result<Box<EndRecord>, String> {
    let record: Box<EndRecord> = json(value)?;
    if record.run != run {
        return Err(format!(
            "the end-of-run record is of run {}, but its headers name run {run}",
            record.run
        ));
    }
    if !fits(&record) {
        return Err("the end-of-run record contains a number or a time that is out of range".to_owned());
    }
    let text = String::from_utf8_lossy(value);
    if sanitize_json(&text, 0) != text {
        return Err("the end-of-run record contains text that PostgreSQL can't store".to_owned());
    }
    Ok(record)
}

/// Whether PostgreSQL can store the numbers, their sums and the times.
fn fits(record: &EndRecord) -> bool {
    let counts = [record.published, record.objects, record.missed.unkeyed, record.missed.skipped];
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.map(u128::from).sum::<u128>();
    let sums = [
        sum(&mut counts.into_iter()),
        sum(&mut record.declared.values().copied()),
        sum(&mut record.seen.values().copied()),
    ];
    sums.into_iter().all(|sum| i64::try_from(sum).is_ok())
        && record.partitions.values().all(|count| PARTITIONS.contains(count))
        && [record.started_at, record.ended_at]
            .iter()
            .all(|at| at.checked_to_offset(UtcOffset::UTC).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn end_record(changes: &Value) -> Vec<u8> {
        let mut record = json!({
            "run": 7, "mode": "full", "kinds": ["hosts"], "api_url": "x", "since": null, "limit": null,
            "domains": [], "from": null, "previous_ended": null, "started_at": "2026-01-01T00:00:00Z",
            "ended_at": "2026-01-01T00:00:00Z", "partitions": {"hosts": 1}, "published": 1, "pages": 1,
            "objects": 1, "unkeyed": 0, "skipped": 0, "declared": {}, "seen": {}
        });
        record.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        record.to_string().into_bytes()
    }

    #[test]
    fn an_end_of_run_record_that_the_ledger_can_not_store_is_refused() {
        assert!(read(&end_record(&json!({})), 7).is_ok());
        for bad in [
            json!({"published": u64::MAX}),
            json!({"seen": {"a": u64::MAX, "b": u64::MAX}}),
            json!({"partitions": {"hosts": i32::MAX, "datasets": i32::MAX}}),
            json!({"api_url": "a\u{0}b"}),
            json!({"run": 8}),
            json!({"ended_at": "9999-12-31T23:59:59-01:00"}),
        ] {
            assert!(read(&end_record(&bad), 7).unwrap_err().contains("the end-of-run record"), "{bad}");
        }
    }
}
