//! A record to be sent to Kafka.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::message::OwnedHeaders;

/// A record to be sent to Kafka.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) value: Bytes,
    /// Shared by all records of a page and type.
    pub(crate) headers: Arc<OwnedHeaders>,
}
