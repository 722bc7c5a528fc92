//! The topics that a command reads.

use std::collections::BTreeMap;

/// What a command reads, as Kafka names it now. What Kafka does not name is compared with nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// For people.
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    pub(crate) cluster: Option<String>,
    /// The ids of the topics that have one, by name.
    pub(crate) topics: BTreeMap<String, String>,
}
