//! The objects that a run could not read, as numbers and as text.

use std::fmt;

use catalog_shared::human;
use catalog_shared::missed::Missed;
use serde::Serialize;

/// How many names of each group are shown.
const SHOWN: usize = 3;

/// What a run could not read, as summaries show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MissedReport {
    #[serde(flatten)]
    pub(crate) counts: Missed,
    /// How many of them are not identified by any of the counts. A run with any of them retires nothing.
    unknown: u64,
}

impl From<&Missed> for MissedReport {
    fn from(counts: &Missed) -> Self {
        Self { counts: counts.clone(), unknown: counts.unknown() }
    }
}

/// By identity: `2 with an id (aaaa-aaaa, aaaa-aaab), 1 of a.example without an id, 1 entry of /domains`.
impl fmt::Display for MissedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missed { bad_domains, unkeyed_by, unread_ids, .. } = &self.counts;
        let mut parts = Vec::new();
        if !unread_ids.is_empty() {
            let count = human::count(unread_ids.len() as u64);
            parts.push(format!("{count} with an id ({})", some(unread_ids.iter())));
        }
        if !unkeyed_by.is_empty() {
            let count = human::count(unkeyed_by.values().sum());
            parts.push(format!("{count} without an id, of {}", some(unkeyed_by.keys())));
        }
        if *bad_domains > 0 {
            let entries = if *bad_domains == 1 { "entry" } else { "entries" };
            parts.push(format!("{} {entries} of /domains", human::count(*bad_domains)));
        }
        if self.unknown > 0 {
            let count = human::count(self.unknown);
            parts.push(format!("{count} with unknown id and domain, so the run retires nothing"));
        }
        f.write_str(&parts.join("; "))
    }
}

/// The first names, and the number of further ones.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = names.take(SHOWN).map(String::as_str).collect();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {} more", human::count(more as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_objects_are_described_by_what_identifies_them() {
        let ids = ["aaaa-aaaa", "aaaa-aaab", "aaaa-aaac", "aaaa-aaad"].map(str::to_owned).to_vec();
        let missed = Missed {
            unkeyed: 9,
            skipped: 1,
            bad_domains: 1,
            unkeyed_by: [("a.example".into(), 3)].into(),
            unread_ids: ids,
        };
        assert_eq!(
            MissedReport::from(&missed).to_string(),
            "4 with an id (aaaa-aaaa, aaaa-aaab, aaaa-aaac and 1 more); 3 without an id, of a.example; 1 entry of \
             /domains; 2 with unknown id and domain, so the run retires nothing"
        );
        assert!(Missed::default().is_nothing() && !missed.is_nothing());
    }
}
