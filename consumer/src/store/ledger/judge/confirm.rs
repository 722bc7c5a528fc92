//! Confirmation: the loss of datasets is confirmed if several full crawls in a row did not see them and `/domains` did
//! not declare them either.

use std::collections::BTreeMap;

use catalog_shared::end_record::EndRecord;

use super::{DomainLoss, Evidence, share};

/// Declared counts (`/domains`) and seen counts of a full crawl, by domain in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    declared: BTreeMap<String, u64>,
    seen: BTreeMap<String, u64>,
    /// Whether the list of domains may be incomplete: an entry was unreadable, or the list was empty.
    is_incomplete: bool,
}

/// The accepted full crawls that confirm losses, from the first one to the last before the current run.
#[derive(Clone, Debug)]
pub(crate) struct Streak {
    /// The number of the first one.
    pub(crate) first: u32,
    /// The counts of each of them.
    pub(crate) counts: Vec<Counts>,
}

impl Counts {
    pub(crate) fn of(end_record: &EndRecord) -> Self {
        Self {
            declared: by_lower_case(&end_record.declared),
            seen: by_lower_case(&end_record.seen),
            is_incomplete: end_record.missed.bad_domains > 0 || end_record.declared.is_empty(),
        }
    }

    /// Whether the declared count explains the loss. While the search index of a domain is down, the crawl sees none of its
    /// datasets, but `/domains` still declares them.
    fn explain_loss(&self, domain: &str, min_seen_share: f64) -> bool {
        let seen = self.seen.get(domain).copied().unwrap_or_default();
        match self.declared.get(domain) {
            None => !self.is_incomplete,
            Some(0) => true,
            Some(declared) => share(seen, *declared) >= min_seen_share,
        }
    }
}

fn by_lower_case(counts: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut lower = BTreeMap::new();
    for (domain, count) in counts {
        *lower.entry(domain.to_ascii_lowercase()).or_default() += count;
    }
    lower
}

/// Whether the run saw datasets of the domain that have no usable record. They may have none for many crawls in a row, but
/// they exist.
fn was_seen_unusable(evidence: &Evidence<'_>, loss: &DomainLoss) -> bool {
    loss.unread > 0 || evidence.dead.contains_key(&loss.domain)
}

/// The domains with confirmed losses, each with the first confirming run. Datasets that were last seen before it are
/// confirmed absent.
pub(super) fn confirmed(evidence: &Evidence<'_>) -> BTreeMap<String, u32> {
    let Some(streak) = &evidence.streak else { return BTreeMap::new() };
    let own = Counts::of(evidence.end_record);
    let threshold = evidence.thresholds.min_seen_share;
    let is_confirmed = |loss: &&DomainLoss| {
        // Earlier crawls did not cover the domain.
        let was_covered = loss.first_run.is_some_and(|first| first <= i64::from(streak.first));
        let mut all = streak.counts.iter().chain([&own]);
        loss.long_lost > 0
            && was_covered
            && !was_seen_unusable(evidence, loss)
            && all.all(|counts| counts.explain_loss(&loss.domain, threshold))
    };
    let losses = evidence.losses.iter().filter(is_confirmed);
    losses.map(|loss| (loss.domain.clone(), streak.first)).collect()
}
