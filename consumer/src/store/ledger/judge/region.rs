//! The guards of a region. They check the domains without a shield and put the whole run on hold.

use std::collections::{BTreeMap, BTreeSet};

use super::{DomainLoss, Evidence, LedgerSums, is_covered, list, share};

type Shields = BTreeMap<String, String>;

/// The reasons to put the run on hold.
pub(super) fn reasons(
    evidence: &Evidence<'_>,
    losses: &[DomainLoss],
    scope: Option<&BTreeSet<String>>,
    shields: &Shields,
) -> Vec<String> {
    // The threshold is a share of the region. It does not apply to a crawl of a few domains.
    let too_many = if scope.is_none() { too_many(losses, shields, evidence) } else { None };
    let all = [unbalanced(evidence.sums), unreadable(evidence), too_many, too_few(evidence, scope, shields)];
    all.into_iter().flatten().collect()
}

fn unbalanced(sums: &LedgerSums) -> Option<String> {
    let unbalanced = &sums.unbalanced;
    (!unbalanced.is_empty()).then(|| format!("the counts don't add up in {}", list(unbalanced)))
}

/// Unreadable objects exist and must not be retired. Their domains are unknown, so the whole run is on hold.
fn unreadable(evidence: &Evidence<'_>) -> Option<String> {
    let missed = evidence.end_record.missed.unknown();
    let by_producer = (missed > 0).then(|| format!("{missed} objects could not be turned into records"));
    let dead = evidence.sums.dead_datasets - evidence.dead.values().sum::<i64>();
    let by_consumer = (dead > 0).then(|| format!("{dead} records of unknown datasets became dead letters"));
    let both: Vec<String> = by_producer.into_iter().chain(by_consumer).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

fn too_many(losses: &[DomainLoss], shields: &Shields, evidence: &Evidence<'_>) -> Option<String> {
    let threshold = evidence.thresholds.max_retire_share;
    let losses = || losses.iter().filter(|loss| !shields.contains_key(&loss.domain));
    let active: i64 = losses().map(|loss| loss.active).sum();
    let lost: i64 = losses().map(|loss| loss.lost).sum();
    (share(lost, active) > threshold).then(|| {
        format!("{lost} of {active} datasets would be retired, a share above --max-retire-share {threshold}")
    })
}

fn too_few(evidence: &Evidence<'_>, scope: Option<&BTreeSet<String>>, shields: &Shields) -> Option<String> {
    let threshold = evidence.thresholds.min_seen_share;
    let sum = |counts: &BTreeMap<String, u64>| -> u64 {
        let counts = counts.iter().map(|(domain, count)| (domain.to_ascii_lowercase(), count));
        let judged = |domain: &str| is_covered(scope, domain) && !shields.contains_key(domain);
        counts.filter(|(domain, _)| judged(domain)).map(|(_, count)| count).sum()
    };
    let (seen, declared) = (sum(&evidence.end_record.seen), sum(&evidence.end_record.declared));
    // Without a declaration there is nothing to compare with.
    (declared > 0 && share(seen, declared) < threshold).then(|| {
        format!(
            "it saw {seen} of the {declared} assets that /domains declared, a share under --min-seen-share {threshold}"
        )
    })
}
