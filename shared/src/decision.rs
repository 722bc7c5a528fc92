//! The decisions about runs: one compacted record per run in the topic `verdicts`.
//!
//! Several installations may read the same topics and write to this one. [`RunDecision::merge`] merges two decisions
//! about the same run. Its result does not depend on the order or the number of merges.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cursor::Mode;
use crate::record::RecordType;
use crate::region::Region;

mod earlier;

/// The decision about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "earlier::Wire")]
pub struct RunDecision {
    /// The run's region.
    pub region: Region,
    /// The run's number within the region.
    pub run: u32,
    /// When the crawl ended. `None` for an abandoned run, which has no end-of-run record.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// How much of the catalog the run crawled. `None` for an abandoned run.
    pub mode: Option<Mode>,
    /// The record types that it published.
    pub kinds: Vec<RecordType>,
    /// The domains that the run crawled completely, in lower case; empty unless it was limited to domains.
    pub scope: Vec<String>,
    /// Raised by each undone decision. The higher revision replaces the lower one.
    pub revision: u32,
    /// The result of the rules.
    pub judged: Judged,
    /// What a person decided, if anybody did.
    pub decided: Option<Decided>,
}

/// The result of the rules for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The outcome.
    pub state: Judgement,
    /// The reason, unless the outcome needs none.
    pub reason: Option<String>,
    /// Domains (lower case) in which the run retires nothing, each with the reason.
    pub shields: BTreeMap<String, String>,
    /// Shielded domains in which the loss of older datasets is confirmed: those whose last run is below this
    /// number are retired in spite of the shield.
    pub confirmed: BTreeMap<String, u32>,
}

/// The outcomes of the rules. A merge prefers the later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// The run was discarded for the next one.
    Abandoned,
    /// The run retires nothing.
    Ended,
    /// On hold: it retires nothing until a person decides.
    Held,
    /// Accepted: what it did not see is retired.
    Balanced,
}

/// What a person decided about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Whether the run is accepted.
    pub what: Choice,
    /// Shielded domains (lower case) in which the run retires after all.
    pub domains: BTreeSet<String>,
    /// When it was decided.
    #[serde(with = "time::serde::rfc3339")]
    pub when: OffsetDateTime,
}

/// A person's choice. A merge prefers the later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The run stays without effect.
    Rejected,
    /// The run is accepted.
    Released,
}

impl RunDecision {
    /// The record's key, such as `us/7`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.region, self.run)
    }

    /// The run's state by this decision alone. [`LedgerState::Superseded`] follows from other runs.
    #[must_use]
    pub fn state(&self) -> LedgerState {
        let choice = self.decided.as_ref().map(|decided| decided.what);
        match (self.judged.state, choice) {
            (Judgement::Held, Some(Choice::Released)) => LedgerState::Released,
            (Judgement::Held, Some(Choice::Rejected)) => LedgerState::Rejected,
            (Judgement::Held, None) => LedgerState::Held,
            (Judgement::Balanced, _) => LedgerState::Balanced,
            (Judgement::Ended, _) => LedgerState::Ended,
            (Judgement::Abandoned, _) => LedgerState::Abandoned,
        }
    }

    /// The domains in which the run retires nothing, after what a person lifted.
    pub fn shields(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_lifted = |domain: &str| self.decided.as_ref().is_some_and(|it| it.domains.contains(domain));
        let shields = self.judged.shields.iter().map(|(domain, reason)| (domain.as_str(), reason.as_str()));
        shields.filter(move |(domain, _)| !is_lifted(domain))
    }

    /// Merges two decisions about the same run (the same region, number and end). The higher revision replaces the
    /// lower one. At equal revisions a person's decision wins over none, an accepted state over one on hold, and
    /// shields add up. Merging is commutative, associative and idempotent.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.revision != other.revision {
            return if self.revision > other.revision { self } else { other };
        }
        Self {
            mode: self.mode.max(other.mode),
            kinds: self.kinds.max(other.kinds),
            scope: self.scope.max(other.scope),
            judged: self.judged.merge(other.judged),
            decided: merge_decided(self.decided, other.decided),
            region: self.region,
            run: self.run,
            ended_at: self.ended_at,
            revision: self.revision,
        }
    }
}

impl Judged {
    /// An outcome without a reason, shields or confirmations.
    #[must_use]
    pub const fn plain(state: Judgement) -> Self {
        Self { state, reason: None, shields: BTreeMap::new(), confirmed: BTreeMap::new() }
    }

    fn merge(self, other: Self) -> Self {
        let (state, reason) = (self.state, self.reason).max((other.state, other.reason));
        let mut shields = self.shields;
        for (domain, reason) in other.shields {
            let held = shields.entry(domain).or_default();
            *held = reason.max(std::mem::take(held));
        }
        // A loss is confirmed only as far as both agree.
        let both =
            |(domain, run): (String, u32)| other.confirmed.get(&domain).map(|it| (domain, run.min(*it)));
        let confirmed = self.confirmed.into_iter().filter_map(both).collect();
        Self { state, reason, shields, confirmed }
    }
}

fn merge_decided(one: Option<Decided>, other: Option<Decided>) -> Option<Decided> {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return one.or(other),
    };
    if one.what != other.what {
        return Some(if one.what > other.what { one } else { other });
    }
    let mut domains = one.domains;
    domains.extend(other.domains);
    Some(Decided { what: one.what, domains, when: one.when.max(other.when) })
}

/// The state of a run in tables and listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LedgerState {
    /// Accepted by the rules: what the run did not see is retired.
    Balanced,
    /// On hold until a person decides.
    Held,
    /// A run on hold that a person accepted.
    Released,
    /// A run on hold that a person declined.
    Rejected,
    /// A run on hold that was undecided when a later one that covers as much was accepted.
    Superseded,
    /// A run that retires nothing.
    Ended,
    /// A run that was discarded for the next one.
    Abandoned,
}

impl LedgerState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Balanced,
        Self::Held,
        Self::Released,
        Self::Rejected,
        Self::Superseded,
        Self::Ended,
        Self::Abandoned,
    ];

    /// The word for it in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Held => "held",
            Self::Released => "released",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::Ended => "ended",
            Self::Abandoned => "abandoned",
        }
    }

    /// The state of a word, as [`LedgerState::name`] returns it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }

    /// Whether the run retires what it did not see, if it crawled the whole catalog or whole domains.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Balanced | Self::Released)
    }
}

#[cfg(test)]
mod tests;
