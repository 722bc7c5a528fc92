//! The findings of `catalog-consumer check` that follow from a region's cursor alone: when the last full crawl ended, and whether
//! a run is open. The cursor does not show whether consumers accepted a crawl.

use catalog_shared::cursor::{Cursor, Mode, PastState, RunState};
use catalog_shared::record::RecordType;
use catalog_shared::run_sentences::{full_crawl_ended, run_not_ended};
use serde::Serialize;
use time::OffsetDateTime;

/// A finding, with the names of `check`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SummaryWarning {
    check: &'static str,
    region: &'static str,
    run: u32,
    /// The finding in a few words.
    pub(crate) found: String,
    value: u64,
    unit: &'static str,
}

/// The findings about the region of a cursor whose crawl has just stopped or ended.
pub(crate) fn of(cursor: &Cursor, now: OffsetDateTime) -> Vec<SummaryWarning> {
    let region = cursor.region.name();
    let finding = |check, (run, value): (u32, u64), words: fn(&str, i64, u64) -> String| {
        let found = words(region, i64::from(run), value);
        SummaryWarning { check, region, run, found, value, unit: "seconds" }
    };
    let full = last_full(cursor, now).map(|ended| finding("full_crawl", ended, full_crawl_ended));
    let is_open = cursor.run > 0 && cursor.state == RunState::Crawling;
    let open = is_open.then(|| finding("open_runs", (cursor.run, 0), run_not_ended));
    full.into_iter().chain(open).collect()
}

/// The number and the age in seconds of the last full crawl of datasets that ended, if it is among the last runs.
fn last_full(cursor: &Cursor, now: OffsetDateTime) -> Option<(u32, u64)> {
    let runs = cursor.history_with_own();
    let is_full = |mode, kinds: &[RecordType]| mode == Mode::Full && kinds.contains(&RecordType::Datasets);
    let last = runs.iter().find(|run| run.state == PastState::Ended && is_full(run.mode, &run.kinds))?;
    let age = (now - last.ended_at?).whole_seconds();
    // The clock may have been set back.
    Some((last.run, u64::try_from(age).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::RunParameters;
    use catalog_shared::region::Region;
    use time::Duration;

    use super::*;
    use crate::run::lifecycle::{ended, new_cursor};

    fn cursor(mode: Mode, run: u32) -> Cursor {
        let parameters = RunParameters { mode, ..RunParameters::full() };
        new_cursor(Region::Us, parameters, run, &BTreeMap::new())
    }

    fn words(cursor: &Cursor, now: OffsetDateTime) -> Vec<String> {
        of(cursor, now).into_iter().map(|finding| finding.found).collect()
    }

    #[test]
    fn the_last_full_crawl_and_an_open_run_are_found() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let full = ended(&cursor(Mode::Full, 5), at);
        assert_eq!(words(&full, at), ["full crawl of us ended 0 s ago (run 5)"]);
        let history = full.history_with_own();
        let part = Cursor { history, ..ended(&cursor(Mode::Part, 6), at) };
        let later = at + Duration::hours(3);
        assert_eq!(words(&part, later), ["full crawl of us ended 3 h ago (run 5)"]);
        let open = Cursor { history: part.history_with_own(), ..cursor(Mode::Full, 7) };
        let not_ended = "run 7 of us has not ended, and was last active 0 s ago";
        assert_eq!(words(&open, later), ["full crawl of us ended 3 h ago (run 5)", not_ended]);
        assert_eq!(words(&cursor(Mode::Full, 0), at), [""; 0]);
    }
}
