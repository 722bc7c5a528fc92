//! The objects that a run could not read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The maximum number of ids of unreadable objects that a run keeps. Further ones are only counted.
pub const UNREAD_IDS: usize = 1_000;

/// What a run could not read, in its cursor and its end-of-run records. Each object is counted in `unkeyed` or `skipped`, and again
/// by what identifies it. The first records had only these two counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How many objects and entries of `/domains` have no usable key.
    pub unkeyed: u64,
    /// How many objects and ranges of ids the run skipped because no readable answer contains them.
    pub skipped: u64,
    /// How many entries of `/domains` could not be read; `unkeyed` counts them too.
    #[serde(default)]
    pub bad_domains: u64,
    /// How many objects with a known domain have no usable id, by domain; `unkeyed` counts them too.
    #[serde(default)]
    pub unkeyed_by: BTreeMap<String, u64>,
    /// The ids of objects that could not be read, [`UNREAD_IDS`] at most for a run; `unkeyed` or `skipped`
    /// counts each.
    #[serde(default)]
    pub unread_ids: Vec<String>,
}

impl Missed {
    /// How many objects have neither a known domain nor a known id. It is unknown which rows they would have kept, so a run with
    /// any of them retires nothing.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        let identified =
            self.bad_domains + self.unkeyed_by.values().sum::<u64>() + self.unread_ids.len() as u64;
        (self.unkeyed + self.skipped).saturating_sub(identified)
    }

    /// Whether the run could read everything.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.unkeyed == 0 && self.skipped == 0
    }
}
