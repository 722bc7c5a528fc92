//! The guards of single domains. A domain that fails any of them is shielded: its unseen datasets are not retired.

use std::collections::BTreeMap;

use super::{DomainLoss, Evidence};

/// The shielded domains, each with all reasons.
pub(super) fn shields(evidence: &Evidence<'_>, losses: &[DomainLoss]) -> BTreeMap<String, String> {
    let halved = losses.iter().filter_map(|loss| {
        let DomainLoss { domain, active, lost, .. } = loss;
        let is_halved = *active >= evidence.thresholds.large_domain && 2 * lost > *active;
        is_halved.then(|| (domain.clone(), format!("more than half would be retired: {lost} of {active}")))
    });
    let without_id = evidence.end_record.missed.unkeyed_by.iter().filter(|(_, count)| **count > 0).map(
        |(domain, count)| (domain.to_ascii_lowercase(), format!("objects without a usable id: {count}")),
    );
    let unreadable = losses.iter().filter(|loss| loss.unread > 0).map(|loss| {
        (loss.domain.clone(), format!("datasets with the id of an unreadable object: {}", loss.unread))
    });
    let dead = evidence
        .dead
        .iter()
        .map(|(domain, count)| (domain.clone(), format!("records that became dead letters: {count}")));
    let mut shields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (domain, reason) in halved.chain(without_id).chain(unreadable).chain(dead) {
        shields.entry(domain).or_default().push(reason);
    }
    shields.into_iter().map(|(domain, reasons)| (domain, reasons.join("; "))).collect()
}
