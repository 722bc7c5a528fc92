//! The end-of-run records.

use catalog_shared::cursor::Cursor;
use catalog_shared::end_record::EndRecord;
use catalog_shared::key::Key;
use catalog_shared::record::{Content, RecordHeaders, Version};
use catalog_shared::topics::Topics;
use time::OffsetDateTime;

use crate::model::outgoing::Outgoing;

/// One end-of-run record for every partition that the run may have written to.
pub(crate) fn build(
    topics: &Topics,
    cursor: &Cursor,
    version: Version,
    ended_at: OffsetDateTime,
) -> anyhow::Result<Vec<Outgoing>> {
    let stamp =
        RecordHeaders { content: Content::EndRecord, region: cursor.region, version, observed_at: ended_at };
    let mut records = Vec::new();
    for (kind, counts) in &cursor.published {
        for (partition, published) in (0..).zip(counts) {
            records.push(Outgoing {
                topic: topics.data(*kind).into(),
                partition,
                key: Key::EndRecord { run: cursor.run }.to_text(cursor.region),
                value: serde_json::to_vec(&end_record(cursor, ended_at, *published))?.into(),
                headers: stamp.to_headers().into(),
            });
        }
    }
    Ok(records)
}

/// The end-of-run record of a partition to which the run published this many records.
pub(crate) fn end_record(cursor: &Cursor, ended_at: OffsetDateTime, published: u64) -> EndRecord {
    EndRecord {
        run: cursor.run,
        parameters: cursor.parameters.clone(),
        previous_ended: cursor.previous_ended,
        started_at: cursor.started_at,
        ended_at,
        partitions: cursor.partitions.clone(),
        published,
        pages: cursor.next_page,
        objects: cursor.objects,
        missed: cursor.missed.clone(),
        declared: cursor.declared.clone(),
        seen: cursor.seen.clone(),
    }
}
