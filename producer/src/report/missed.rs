//! The objects that a run could not read, as numbers and as text.

use std::collections::BTreeMap;
use std::fmt;

use catalog_shared::cursor::Cursor;
use catalog_shared::human;
use serde::Serialize;

/// How many names of each group are shown.
const SHOWN: usize = 3;

/// What a run could not read. Each object is counted in `unkeyed` or `skipped`, and again by what identifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Missed {
    /// Objects and entries of `/domains` without a usable key.
    pub(crate) unkeyed: u64,
    /// Skipped objects and ranges of ids.
    pub(crate) skipped: u64,
    pub(crate) bad_domains: u64,
    /// Objects without an id, by domain.
    pub(crate) unkeyed_by: BTreeMap<String, u64>,
    pub(crate) unread_ids: Vec<String>,
    /// How many of them are not identified by any of the fields above. A run with any of them retires nothing.
    pub(crate) unknown: u64,
}

impl From<&Cursor> for Missed {
    fn from(cursor: &Cursor) -> Self {
        let unkeyed_by = cursor.unkeyed_by.clone();
        let identified =
            cursor.bad_domains + unkeyed_by.values().sum::<u64>() + cursor.unread_ids.len() as u64;
        Self {
            unkeyed: cursor.unkeyed,
            skipped: cursor.skipped,
            bad_domains: cursor.bad_domains,
            unkeyed_by,
            unread_ids: cursor.unread_ids.clone(),
            unknown: (cursor.unkeyed + cursor.skipped).saturating_sub(identified),
        }
    }
}

impl Missed {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.unkeyed == 0 && self.skipped == 0
    }
}

/// By identity: `2 with an id (aaaa-aaaa, aaaa-aaab), 1 of a.example without an id, 1 entry of /domains`.
impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.unread_ids.is_empty() {
            let count = human::count(self.unread_ids.len() as u64);
            parts.push(format!("{count} with an id ({})", some(self.unread_ids.iter())));
        }
        if !self.unkeyed_by.is_empty() {
            let count = human::count(self.unkeyed_by.values().sum());
            parts.push(format!("{count} without an id, of {}", some(self.unkeyed_by.keys())));
        }
        if self.bad_domains > 0 {
            let entries = if self.bad_domains == 1 { "entry" } else { "entries" };
            parts.push(format!("{} {entries} of /domains", human::count(self.bad_domains)));
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
            unknown: 2,
        };
        assert_eq!(
            missed.to_string(),
            "4 with an id (aaaa-aaaa, aaaa-aaab, aaaa-aaac and 1 more); 3 without an id, of a.example; 1 entry of \
             /domains; 2 with unknown id and domain, so the run retires nothing"
        );
        assert!(Missed::default().is_nothing() && !missed.is_nothing());
    }
}
