//! The markers that end a run.

use catalog_shared::cursor::Cursor;
use catalog_shared::key::Key;
use catalog_shared::marker::Marker;
use catalog_shared::record::{Content, Stamp};
use time::OffsetDateTime;

use crate::model::outgoing::Outgoing;
use crate::publish::Publisher;
use crate::run::lifecycle;

impl Publisher {
    /// Publishes the markers that end the run, one on every partition that it may have written to.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        let cursor = Cursor { pending: Vec::new(), ..self.cursor.clone() };
        let ended_at = OffsetDateTime::now_utc();
        let version = self.version();
        let stamp = Stamp { content: Content::Marker, region: cursor.region, version, observed_at: ended_at };
        let mut markers = Vec::new();
        for (kind, counts) in &cursor.published {
            for (partition, published) in (0..).zip(counts) {
                markers.push(Outgoing {
                    topic: self.topics.data(*kind).into(),
                    partition,
                    key: Key::Marker { run: cursor.run }.to_text(cursor.region),
                    value: serde_json::to_vec(&marker(&cursor, ended_at, *published))?.into(),
                    headers: stamp.to_headers().into(),
                });
            }
        }
        let ended = lifecycle::ended(&cursor, ended_at);
        tracing::debug!(run = ended.run, "ending the run");
        self.publish(markers, ended).await
    }
}

pub(super) fn marker(cursor: &Cursor, ended_at: OffsetDateTime, published: u64) -> Marker {
    Marker {
        run: cursor.run,
        shape: cursor.shape.clone(),
        previous_ended: cursor.previous_ended,
        started_at: cursor.started_at,
        ended_at,
        partitions: cursor.partitions.clone(),
        published,
        pages: cursor.next_page,
        objects: cursor.objects,
        unkeyed: cursor.unkeyed,
        skipped: cursor.skipped,
        bad_domains: cursor.bad_domains,
        unkeyed_by: cursor.unkeyed_by.clone(),
        unread_ids: cursor.unread_ids.clone(),
        declared: cursor.declared.clone(),
        seen: cursor.seen.clone(),
    }
}
