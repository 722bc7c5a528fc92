//! The Kafka record of a cursor.

use catalog_shared::cursor::Cursor;
use catalog_shared::topics::Topics;
use rdkafka::message::OwnedHeaders;

use crate::model::outgoing::Outgoing;

/// The record of a cursor, to be committed with the page before it.
pub(crate) fn record(topics: &Topics, cursor: &Cursor) -> anyhow::Result<Outgoing> {
    Ok(Outgoing {
        topic: topics.cursors().into(),
        partition: cursor.region.cursor_partition(),
        key: cursor.region.name().to_owned(),
        value: serde_json::to_vec(cursor)?.into(),
        headers: OwnedHeaders::new().into(),
    })
}
