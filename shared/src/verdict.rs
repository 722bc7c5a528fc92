//! Verdicts: what became of a run, one compacted record a run in the verdicts topic. Whoever builds the
//! tables anew follows them, for what decided them may be gone.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cursor::Mode;
use crate::record::Kind;
use crate::region::Region;

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The run's region.
    pub region: Region,
    /// The run's number within the region.
    pub run: u32,
    /// What was decided.
    pub state: Decision,
    /// Why, where it does not go without saying.
    pub reason: Option<String>,
    /// How much of the catalog the run looked at; none for an abandoned run, which has no marker.
    pub mode: Option<Mode>,
    /// Which kinds of records it published.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// When the crawl ended; none for an abandoned run.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// When it was decided.
    #[serde(with = "time::serde::rfc3339")]
    pub decided_at: OffsetDateTime,
}

impl Verdict {
    /// The record's key, such as `us/7`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.region, self.run)
    }
}

/// What can be decided of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// A whole crawl of datasets that is accepted: what it did not see is retired.
    Balanced,
    /// A whole crawl of datasets whose word is not taken until a person has looked.
    Held,
    /// A held run that a person accepted.
    Released,
    /// A held run that a person refused.
    Rejected,
    /// A held run that nobody decided before a later one was accepted.
    Superseded,
    /// A run that retires nothing.
    Ended,
    /// A run that was given up for the next one.
    Abandoned,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 7] = [
        Self::Balanced,
        Self::Held,
        Self::Released,
        Self::Rejected,
        Self::Superseded,
        Self::Ended,
        Self::Abandoned,
    ];

    /// The word for it in the topic and in tables.
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

    /// The decision of a word, as [`Decision::name`] gives it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }

    /// Whether the run retires what it did not see, if it is a whole crawl of datasets.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Balanced | Self::Released)
    }

    /// Whether nothing can follow: all but a held run's.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_keyed_by_region_and_run_and_written_in_words() {
        let verdict = Verdict {
            region: Region::Us,
            run: 7,
            state: Decision::Released,
            reason: None,
            mode: Some(Mode::Full),
            kinds: vec![Kind::Datasets],
            ended_at: Some(OffsetDateTime::UNIX_EPOCH),
            decided_at: OffsetDateTime::UNIX_EPOCH,
        };
        assert_eq!(verdict.key(), "us/7");
        let text = serde_json::to_string(&verdict).unwrap();
        assert_eq!(
            text,
            r#"{"region":"us","run":7,"state":"released","reason":null,"mode":"full","kinds":["datasets"],"ended_at":"1970-01-01T00:00:00Z","decided_at":"1970-01-01T00:00:00Z"}"#
        );
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }

    #[test]
    fn words_in_topic_and_tables_are_the_same() {
        for decision in Decision::ALL {
            assert_eq!(Decision::from_name(decision.name()), Some(decision));
            assert_eq!(serde_json::to_value(decision).unwrap(), decision.name());
        }
    }
}
