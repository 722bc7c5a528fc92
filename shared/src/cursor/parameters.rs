//! The parameters of a run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::record::RecordType;

/// Which part of the catalog a run crawls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The whole catalog.
    Full,
    /// What changed since a time.
    Since,
    /// A part: some domains, a limit, or the ids after one.
    Part,
}

impl Mode {
    /// The name in end-of-run records and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Since => "since",
            Self::Part => "part",
        }
    }

    /// The mode with this [`Mode::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::Since, Self::Part].into_iter().find(|mode| mode.name() == name)
    }
}

/// The parameters of a run, which can't change until the run ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunParameters {
    /// Which part of the catalog is crawled.
    pub mode: Mode,
    /// The record types that are published.
    pub kinds: Vec<RecordType>,
    /// The catalog's URL.
    pub api_url: String,
    /// The start of an incremental run.
    pub since: Option<Since>,
    /// The limit of a partial run, in assets.
    pub limit: Option<u64>,
    /// The domains of a partial run.
    pub domains: Vec<String>,
    /// The id after which a partial run starts.
    pub from: Option<String>,
}

/// The datasets that an ended run has seen completely and may retire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Those of all domains that full crawls see.
    Full,
    /// Those of these domains, in lower case.
    Domains(BTreeSet<String>),
    /// None, because the run crawled only a part.
    None,
}

impl RunParameters {
    /// The parameters of a full run of all record types, without a URL.
    #[must_use]
    pub fn full() -> Self {
        Self {
            mode: Mode::Full,
            kinds: RecordType::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        }
    }

    /// The datasets that a run with these parameters sees completely.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        match self.mode {
            _ if !self.kinds.contains(&RecordType::Datasets) => Coverage::None,
            Mode::Full => Coverage::Full,
            Mode::Part if self.limit.is_none() && self.from.is_none() && !self.domains.is_empty() => {
                Coverage::Domains(self.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect())
            }
            Mode::Part | Mode::Since => Coverage::None,
        }
    }
}

/// Where an incremental run starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The flags as text: a time, an age or `auto`.
    #[serde(rename = "asked")]
    pub flags: String,
    /// The resolved time.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_runs_and_those_over_complete_domains_cover_datasets() {
        let full = RunParameters::full();
        assert_eq!(full.coverage(), Coverage::Full);
        assert_eq!(
            RunParameters { kinds: vec![RecordType::Hosts], ..full.clone() }.coverage(),
            Coverage::None
        );
        let scoped = RunParameters { mode: Mode::Part, domains: vec!["Data.City.example".into()], ..full };
        assert_eq!(scoped.coverage(), Coverage::Domains(["data.city.example".into()].into()));
        assert_eq!(RunParameters { limit: Some(5), ..scoped.clone() }.coverage(), Coverage::None);
        assert_eq!(
            RunParameters { from: Some("2222-2222".into()), ..scoped.clone() }.coverage(),
            Coverage::None
        );
        assert_eq!(RunParameters { mode: Mode::Since, ..scoped }.coverage(), Coverage::None);
    }
}
