//! The rules for the decision about a complete run. They are pure functions of the evidence. `ledger/evidence.rs` collects it and
//! asks them, and `ledger/decisions.rs` applies the decision.
//!
//! The guards of single domains come first. They shield a domain, so that the run retires nothing in it. The guards of the
//! region then check the domains without a shield. They put the whole run on hold.

use std::collections::{BTreeMap, BTreeSet};

use catalog_shared::cursor::Coverage;
use catalog_shared::decision::{Judged, Judgement};
use catalog_shared::end_record::EndRecord;
use sqlx::FromRow;

use crate::config::thresholds::RunThresholds;

mod confirm;
mod domain;
mod region;

pub(crate) use confirm::{Counts, Streak};

/// The number of partitions or domains that a reason lists; the others are counted.
const LISTED: usize = 5;

/// The sums of a run's ledger.
#[derive(Debug, Default, FromRow)]
pub(crate) struct LedgerSums {
    /// The number of its end-of-run records in the ledger.
    pub(crate) end_records: i64,
    /// The number of published records, by its end-of-run records.
    pub(crate) published: i64,
    /// The number of applied records.
    pub(crate) applied: i64,
    /// The number of dead letters.
    pub(crate) dead: i64,
    /// The number of dead letters in the datasets' topic: assets that exist but would be retired.
    pub(crate) dead_datasets: i64,
    /// The partitions whose published and received counts differ, with both counts.
    pub(crate) unbalanced: Vec<String>,
}

/// The effect of accepting a run on one domain.
#[derive(Clone, Debug, Default, FromRow)]
pub(crate) struct DomainLoss {
    /// The domain, in lower case.
    pub(crate) domain: String,
    /// Its datasets that are not retired.
    pub(crate) active: i64,
    /// The active datasets that the run did not see.
    pub(crate) lost: i64,
    /// The active datasets that no run since the first confirming one has seen.
    pub(crate) long_lost: i64,
    /// Its datasets with an id that the run could not read.
    pub(crate) unread: i64,
    /// The first full crawl that listed or saw the domain.
    pub(crate) first_run: Option<i64>,
}

/// The evidence for the decision about a run.
pub(crate) struct Evidence<'a> {
    pub(crate) end_record: &'a EndRecord,
    pub(crate) sums: &'a LedgerSums,
    /// The losses of each covered domain.
    pub(crate) losses: Vec<DomainLoss>,
    /// How many of the run's datasets became dead letters, by their domain in lower case.
    pub(crate) dead: BTreeMap<String, i64>,
    /// The full crawls that confirm losses, if there are enough of them.
    pub(crate) streak: Option<Streak>,
    pub(crate) thresholds: RunThresholds,
}

/// Decides about a run that covers domains: it is balanced unless a guard of the region puts it on hold. All reasons are
/// listed, because an operator decides by them.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Judged {
    let scope = match evidence.end_record.parameters.coverage() {
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
    let on_hold = !reasons.is_empty();
    Judged {
        state: if on_hold { Judgement::Held } else { Judgement::Balanced },
        reason: on_hold.then(|| reasons.join("; ")),
        shields,
        confirmed,
    }
}

fn is_covered(scope: Option<&BTreeSet<String>>, domain: &str) -> bool {
    scope.is_none_or(|scope| scope.contains(domain))
}

/// The losses without confirmed absences. The guards check only new absences.
fn newly_absent(losses: &[DomainLoss], confirmed: &BTreeMap<String, u32>) -> Vec<DomainLoss> {
    let mut losses = losses.to_vec();
    for loss in losses.iter_mut().filter(|loss| confirmed.contains_key(&loss.domain)) {
        loss.active -= loss.long_lost;
        loss.lost -= loss.long_lost;
    }
    losses
}

/// The share of a part in a whole; 0 if the whole is 0.
fn share(part: impl TryInto<i64>, whole: impl TryInto<i64>) -> f64 {
    let number = |count: Result<i64, _>| count.unwrap_or(i64::MAX) as f64;
    number(part.try_into().map_err(drop)) / number(whole.try_into().map_err(drop)).max(1.0)
}

fn list(items: &[String]) -> String {
    let listed = items.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
