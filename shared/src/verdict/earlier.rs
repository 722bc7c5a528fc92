//! Reads verdicts in the current format and in the first one, which could not be merged.

use serde::Deserialize;
use time::OffsetDateTime;

use super::{Choice, Decided, Decision, Judged, Judgement, Verdict};
use crate::cursor::Mode;
use crate::record::RecordType;
use crate::region::Region;

/// A verdict in either format.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Wire {
    Mergeable(Mergeable),
    Flat(Flat),
}

/// The fields of [`Verdict`].
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
    state: Decision,
    reason: Option<String>,
    mode: Option<Mode>,
    #[serde(default)]
    kinds: Vec<RecordType>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    decided_at: OffsetDateTime,
}

impl From<Wire> for Verdict {
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
            Wire::Flat(it) => it.into_verdict(),
        }
    }
}

impl Flat {
    /// Runs that were limited to domains have the state `ended`, so they judge nothing and their scope is empty.
    fn into_verdict(self) -> Verdict {
        let (state, what) = match self.state {
            Decision::Balanced => (Judgement::Balanced, None),
            Decision::Released => (Judgement::Held, Some(Choice::Released)),
            Decision::Rejected => (Judgement::Held, Some(Choice::Rejected)),
            Decision::Held | Decision::Superseded => (Judgement::Held, None),
            Decision::Ended => (Judgement::Ended, None),
            Decision::Abandoned => (Judgement::Abandoned, None),
        };
        let when = self.decided_at;
        Verdict {
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
