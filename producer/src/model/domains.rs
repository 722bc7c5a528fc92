//! The domains of a region.

use std::collections::BTreeMap;

use bytes::Bytes;

/// The answer of `/domains`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Domains {
    /// The number of assets of each domain.
    pub(crate) declared: BTreeMap<String, u64>,
    /// Entries that are not a domain and a count, as received.
    pub(crate) unreadable: Vec<Bytes>,
}
