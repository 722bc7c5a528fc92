//! The rules by which a run is judged once all of it has arrived. They look at figures and nothing else.
//!
//! Guards of one domain come first: they shield it, so that the run retires nothing there. Guards of the region
//! then look at what is not shielded: they put the whole run on hold.

use std::collections::{BTreeMap, BTreeSet};

use catalog_shared::cursor::Coverage;
use catalog_shared::end_record::EndRecord;
use catalog_shared::verdict::{Judged, Judgement};
use sqlx::FromRow;

use crate::config::thresholds::RunThresholds;

mod confirm;
mod domain;
mod region;

pub(crate) use confirm::{Counts, Streak};

/// How many partitions or domains a reason names; the others are counted.
const NAMED: usize = 5;

/// The sums of a run's ledger.
#[derive(Debug, Default, FromRow)]
pub(crate) struct LedgerSums {
    /// How many of its markers are in.
    pub(crate) markers: i64,
    /// What its markers say it published.
    pub(crate) published: i64,
    /// What was applied of it.
    pub(crate) applied: i64,
    /// What became dead letters.
    pub(crate) dead: i64,
    /// What became dead letters in the datasets' topic: assets that exist and would be retired.
    pub(crate) dead_datasets: i64,
    /// The partitions where what was published is not what arrived, with both figures.
    pub(crate) unbalanced: Vec<String>,
}

/// What accepting a run would do to a domain.
#[derive(Clone, Debug, Default, FromRow)]
pub(crate) struct Loss {
    /// The domain, in lower case.
    pub(crate) domain: String,
    /// Its datasets that are not retired.
    pub(crate) active: i64,
    /// Those among them that the run did not see.
    pub(crate) lost: i64,
    /// Those that no run since the first of the confirming ones has seen.
    pub(crate) long_lost: i64,
    /// Its datasets with an id that the run could not read.
    pub(crate) unread: i64,
    /// The first full crawl that listed or saw the domain.
    pub(crate) first_run: Option<i64>,
}

/// All that a run is judged by.
pub(crate) struct Evidence<'a> {
    pub(crate) marker: &'a EndRecord,
    pub(crate) books: &'a LedgerSums,
    /// What each covered domain would lose.
    pub(crate) losses: Vec<Loss>,
    /// How many of the run's datasets became dead letters, by their domain in lower case.
    pub(crate) dead: BTreeMap<String, i64>,
    /// The full crawls that confirm losses, if there are enough of them.
    pub(crate) streak: Option<Streak>,
    pub(crate) thresholds: RunThresholds,
}

/// Judges a run that covers domains: it is balanced unless a guard of the region holds it. All reasons are named,
/// because a person decides on them.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Judged {
    let scope = match evidence.marker.shape.coverage() {
        Coverage::None => return Judged::plain(Judgement::Ended),
        Coverage::Full => None,
        Coverage::Domains(domains) => Some(domains),
    };
    let confirmed = confirm::confirmed(evidence);
    let losses = newly_absent(&evidence.losses, &confirmed);
    let mut shields = domain::shields(evidence, &losses);
    shields.retain(|domain, _| is_covered(scope.as_ref(), domain));
    let reasons = region::reasons(evidence, &losses, scope.as_ref(), &shields);
    let confirmed = confirmed.into_iter().filter(|(domain, _)| shields.contains_key(domain)).collect();
    let held = !reasons.is_empty();
    Judged {
        state: if held { Judgement::Held } else { Judgement::Balanced },
        reason: held.then(|| reasons.join("; ")),
        shields,
        confirmed,
    }
}

fn is_covered(scope: Option<&BTreeSet<String>>, domain: &str) -> bool {
    scope.is_none_or(|scope| scope.contains(domain))
}

/// The losses without the datasets whose absence is confirmed: only what is newly absent meets the guards.
fn newly_absent(losses: &[Loss], confirmed: &BTreeMap<String, u32>) -> Vec<Loss> {
    let mut losses = losses.to_vec();
    for loss in losses.iter_mut().filter(|loss| confirmed.contains_key(&loss.domain)) {
        loss.active -= loss.long_lost;
        loss.lost -= loss.long_lost;
    }
    losses
}

/// A part of a whole; the share of nothing is 0.
fn share(part: impl TryInto<i64>, whole: impl TryInto<i64>) -> f64 {
    let number = |count: Result<i64, _>| count.unwrap_or(i64::MAX) as f64;
    number(part.try_into().map_err(drop)) / number(whole.try_into().map_err(drop)).max(1.0)
}

fn list(items: &[String]) -> String {
    let named = items.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
