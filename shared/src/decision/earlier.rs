//! Reads decisions in the current format and in the first one, which could not be merged.

use serde::Deserialize;
use time::OffsetDateTime;

use super::{Choice, Decided, Judged, Judgement, LedgerState, RunDecision};
use crate::cursor::Mode;
use crate::record::RecordType;
use crate::region::Region;

/// A decision in either format.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Wire {
    Mergeable(Mergeable),
    Flat(Flat),
}

/// The fields of [`RunDecision`].
#[derive(Deserialize)]
pub(super) struct Mergeable {
    region: Region,
    run: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    mode: Option<Mode>,
    kinds: Vec<RecordType>,
    scope: Vec<String>,
    revision: u32,
    judged: Judged,
    decided: Option<Decided>,
}

/// The first format: one state, without who decided it.
#[derive(Deserialize)]
pub(super) struct Flat {
    region: Region,
    run: u32,
    state: LedgerState,
    reason: Option<String>,
    mode: Option<Mode>,
    #[serde(default)]
    kinds: Vec<RecordType>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    decided_at: OffsetDateTime,
}

impl From<Wire> for RunDecision {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Mergeable(it) => Self {
                region: it.region,
                run: it.run,
                ended_at: it.ended_at,
                mode: it.mode,
                kinds: it.kinds,
                scope: it.scope,
                revision: it.revision,
                judged: it.judged,
                decided: it.decided,
            },
            Wire::Flat(it) => it.into_decision(),
        }
    }
}

impl Flat {
    /// Runs that were limited to domains have the state `ended`, so they judge nothing and their scope is empty.
    fn into_decision(self) -> RunDecision {
        let (state, what) = match self.state {
            LedgerState::Balanced => (Judgement::Balanced, None),
            LedgerState::Released => (Judgement::Held, Some(Choice::Released)),
            LedgerState::Rejected => (Judgement::Held, Some(Choice::Rejected)),
            LedgerState::Held | LedgerState::Superseded => (Judgement::Held, None),
            LedgerState::Ended => (Judgement::Ended, None),
            LedgerState::Abandoned => (Judgement::Abandoned, None),
        };
        let when = self.decided_at;
        RunDecision {
            region: self.region,
            run: self.run,
            ended_at: self.ended_at,
            mode: self.mode,
            kinds: self.kinds,
            scope: Vec::new(),
            revision: 0,
            judged: Judged { reason: self.reason.map(without_successor), ..Judged::plain(state) },
            decided: what.map(|what| Decided { what, domains: Default::default(), when }),
        }
    }
}

/// The reason to hold a run, without the run that superseded it: that is derived now.
fn without_successor(reason: String) -> String {
    match reason.split_once(" was accepted; it was held: ") {
        Some((successor, held)) if successor.starts_with("run ") => held.to_owned(),
        _ => reason,
    }
}
