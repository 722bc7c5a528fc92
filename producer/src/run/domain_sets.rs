//! The lists of a cursor with one entry for each set of domains that was crawled.

use catalog_shared::cursor::{DOMAIN_SETS, DomainsComplete};

/// Puts the newest entry first, in place of an older one of the same domains. The oldest one is dropped from a full list.
pub(crate) fn put_first(sets: &mut Vec<DomainsComplete>, newest: DomainsComplete) {
    sets.retain(|set| set.domains != newest.domains);
    sets.insert(0, newest);
    sets.truncate(DOMAIN_SETS);
}
