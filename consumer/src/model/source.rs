//! The topics that a command reads.

use std::collections::BTreeMap;

/// The Kafka cluster and topics that a command reads. An id that Kafka does not report is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The bootstrap servers, for messages.
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    /// The cluster's id; `None` if Kafka does not report one.
    pub(crate) cluster: Option<String>,
    /// Topic ids by topic name, for the topics that have one.
    pub(crate) topics: BTreeMap<String, String>,
}
