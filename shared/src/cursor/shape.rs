//! How much of the catalog a run looks at.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::record::Kind;

/// How much of the catalog a run looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The whole catalog.
    Full,
    /// What changed since a time.
    Since,
    /// A part: some domains, a limit, or from an id on.
    Part,
}

impl Mode {
    /// The word for it in markers and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Since => "since",
            Self::Part => "part",
        }
    }

    /// The mode of a word, as [`Mode::name`] gives it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::Since, Self::Part].into_iter().find(|mode| mode.name() == name)
    }
}

/// All that shapes a run and must stay as it is until the run ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// How much of the catalog is looked at.
    pub mode: Mode,
    /// Which kinds of records are published.
    pub kinds: Vec<Kind>,
    /// The catalog's URL.
    pub api_url: String,
    /// A since-run's time.
    pub since: Option<Since>,
    /// A part-run's limit, in assets.
    pub limit: Option<u64>,
    /// A part-run's domains.
    pub domains: Vec<String>,
    /// The id that a part-run starts behind.
    pub from: Option<String>,
}

/// Which datasets an ended run has seen completely, and so may retire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Those of every domain within the reach of full crawls.
    Full,
    /// Those of these domains, in lower case.
    Domains(BTreeSet<String>),
    /// None: only a part was looked at.
    None,
}

impl Shape {
    /// Which datasets a run of this shape sees completely.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        match self.mode {
            _ if !self.kinds.contains(&Kind::Datasets) => Coverage::None,
            Mode::Full => Coverage::Full,
            Mode::Part if self.limit.is_none() && self.from.is_none() && !self.domains.is_empty() => {
                Coverage::Domains(self.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect())
            }
            Mode::Part | Mode::Since => Coverage::None,
        }
    }
}

/// Where a since-run starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// What was asked for: a time or `auto`.
    pub asked: String,
    /// The time that it meant.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_runs_and_those_over_complete_domains_cover_datasets() {
        let full = Shape {
            mode: Mode::Full,
            kinds: Kind::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        assert_eq!(full.coverage(), Coverage::Full);
        assert_eq!(Shape { kinds: vec![Kind::Hosts], ..full.clone() }.coverage(), Coverage::None);
        let scoped = Shape { mode: Mode::Part, domains: vec!["Data.City.example".into()], ..full };
        assert_eq!(scoped.coverage(), Coverage::Domains(["data.city.example".into()].into()));
        assert_eq!(Shape { limit: Some(5), ..scoped.clone() }.coverage(), Coverage::None);
        assert_eq!(Shape { from: Some("2222-2222".into()), ..scoped.clone() }.coverage(), Coverage::None);
        assert_eq!(Shape { mode: Mode::Since, ..scoped }.coverage(), Coverage::None);
    }
}
