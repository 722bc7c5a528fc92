//! Confirmation: when several full crawls in a row no longer see datasets of a domain, and `/domains` does not
//! declare them either, their loss is believed.

use std::collections::BTreeMap;

use catalog_shared::end_record::EndRecord;

use super::{Evidence, Loss, share};

/// What a full crawl was told by `/domains` and what it saw, by domain in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    declared: BTreeMap<String, u64>,
    seen: BTreeMap<String, u64>,
    /// Whether a domain that is not listed may still be: an entry could not be read, or there was none at all.
    may_list_more: bool,
}

/// The accepted full crawls that confirm losses, from the first one to the last before the judged run.
#[derive(Clone, Debug)]
pub(crate) struct Streak {
    /// The number of the first one.
    pub(crate) first: u32,
    /// What each of them says.
    pub(crate) counts: Vec<Counts>,
}

impl Counts {
    pub(crate) fn of(marker: &EndRecord) -> Self {
        Self {
            declared: by_lower_case(&marker.declared),
            seen: by_lower_case(&marker.seen),
            may_list_more: marker.bad_domains > 0 || marker.declared.is_empty(),
        }
    }

    /// Whether `/domains` did not declare what the crawl did not see. An index that is down for a weekend shows
    /// nothing of a portal, while `/domains` still declares all of it.
    fn explain_loss(&self, domain: &str, min_seen_share: f64) -> bool {
        let seen = self.seen.get(domain).copied().unwrap_or_default();
        match self.declared.get(domain) {
            None => !self.may_list_more,
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

/// The domains with confirmed losses: their datasets whose last run is below this one.
pub(super) fn confirmed(evidence: &Evidence<'_>) -> BTreeMap<String, u32> {
    let Some(streak) = &evidence.streak else { return BTreeMap::new() };
    let own = Counts::of(evidence.marker);
    let limit = evidence.thresholds.min_seen_share;
    let is_confirmed = |loss: &&Loss| {
        // A crawl before the domain was within reach could not see it.
        let within_reach = loss.first_run.is_some_and(|first| first <= i64::from(streak.first));
        let mut all = streak.counts.iter().chain([&own]);
        loss.long_lost > 0 && within_reach && all.all(|counts| counts.explain_loss(&loss.domain, limit))
    };
    let losses = evidence.losses.iter().filter(is_confirmed);
    losses.map(|loss| (loss.domain.clone(), streak.first)).collect()
}
