//! Reading markers: what one says goes into the books, and sums are made of it there.

use std::ops::RangeInclusive;

use catalog_shared::end_record::EndRecord;
use time::UtcOffset;

use crate::decode::json;
use crate::decode::sanitize::sanitize_json;

/// How many partitions a topic may have: more than Kafka manages.
const PARTITIONS: RangeInclusive<i32> = 0..=1_000_000;

/// Reads the marker of a run.
///
/// # Errors
/// The rule that it breaks; no producer of ours writes such a one.
pub(crate) fn read(value: &[u8], run: u32) -> Result<Box<EndRecord>, String> {
    let marker: Box<EndRecord> = json(value)?;
    if marker.run != run {
        return Err(format!("the marker is run {}'s, and its headers say {run}", marker.run));
    }
    if !fits(&marker) {
        return Err("the marker holds a number or a time out of range".to_owned());
    }
    let text = String::from_utf8_lossy(value);
    if sanitize_json(&text, 0) != text {
        return Err("the marker holds what PostgreSQL can't store".to_owned());
    }
    Ok(marker)
}

/// Whether PostgreSQL has room for the numbers, their sums and the times.
fn fits(marker: &EndRecord) -> bool {
    let counts = [marker.published, marker.objects, marker.unkeyed, marker.skipped];
    let sum = |counts: &mut dyn Iterator<Item = u64>| counts.map(u128::from).sum::<u128>();
    let sums = [
        sum(&mut counts.into_iter()),
        sum(&mut marker.declared.values().copied()),
        sum(&mut marker.seen.values().copied()),
    ];
    sums.into_iter().all(|sum| i64::try_from(sum).is_ok())
        && marker.partitions.values().all(|count| PARTITIONS.contains(count))
        && [marker.started_at, marker.ended_at]
            .iter()
            .all(|at| at.checked_to_offset(UtcOffset::UTC).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn marker(changes: &Value) -> Vec<u8> {
        let mut marker = json!({
            "run": 7, "mode": "full", "kinds": ["hosts"], "api_url": "x", "since": null, "limit": null,
            "domains": [], "from": null, "previous_ended": null, "started_at": "2026-01-01T00:00:00Z",
            "ended_at": "2026-01-01T00:00:00Z", "partitions": {"hosts": 1}, "published": 1, "pages": 1,
            "objects": 1, "unkeyed": 0, "skipped": 0, "declared": {}, "seen": {}
        });
        marker.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        marker.to_string().into_bytes()
    }

    #[test]
    fn a_marker_that_books_can_not_hold_is_refused() {
        assert!(read(&marker(&json!({})), 7).is_ok());
        for bad in [
            json!({"published": u64::MAX}),
            json!({"seen": {"a": u64::MAX, "b": u64::MAX}}),
            json!({"partitions": {"hosts": i32::MAX, "datasets": i32::MAX}}),
            json!({"api_url": "a\u{0}b"}),
            json!({"run": 8}),
            json!({"ended_at": "9999-12-31T23:59:59-01:00"}),
        ] {
            assert!(read(&marker(&bad), 7).unwrap_err().contains("the marker"), "{bad}");
        }
    }
}
