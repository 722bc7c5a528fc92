//! A run's cursor at its start and at its end.

use std::collections::BTreeMap;

use anyhow::ensure;
use catalog_shared::cursor::{Cursor, Interval, Mode, PartitionCounts, RunParameters, RunState};
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use time::OffsetDateTime;

use crate::run::{complete_since, full_crawls};

/// The cursor of a run that has published nothing yet.
pub(crate) fn new_cursor(
    region: Region,
    parameters: RunParameters,
    run: u32,
    partitions: &BTreeMap<RecordType, i32>,
) -> Cursor {
    let of_run = |kind: &RecordType| partitions.get(kind).map(|count| (*kind, *count));
    let partitions: BTreeMap<RecordType, i32> = parameters.kinds.iter().filter_map(of_run).collect();
    let zeros = |count: &i32| vec![0; usize::try_from(*count).unwrap_or_default()];
    let published: PartitionCounts = partitions.iter().map(|(kind, count)| (*kind, zeros(count))).collect();
    Cursor { partitions, published, ..Cursor::new(region, parameters, run) }
}

/// How many lanes may crawl the pending intervals. A run with a limit has one: it takes the first assets in id order,
/// so that it is repeatable and another run can continue after it. A listing by date has one, too.
pub(crate) fn lanes(cursor: &Cursor, concurrency: u16) -> usize {
    let is_single = cursor.parameters.limit.is_some() || listed_since(cursor).is_some();
    if is_single { 1 } else { usize::from(concurrency) }
}

/// The time down to which a run lists assets by date; `None` for other runs and once the run scrolls by id. An
/// interrupted listing starts again, because later updates have moved all positions. The listing leaves no trace in
/// the pending intervals, so a run lists for as long as they are complete.
pub(crate) fn listed_since(cursor: &Cursor) -> Option<OffsetDateTime> {
    let since = cursor.parameters.since.as_ref()?;
    (cursor.pending == [Interval::whole()]).then_some(since.from)
}

/// How many more assets a run with a limit takes.
pub(crate) fn remaining(cursor: &Cursor) -> Option<u64> {
    cursor.parameters.limit.map(|limit| limit.saturating_sub(cursor.objects))
}

/// How many objects a run should find. `None` for `--since` and `--cursor` runs, where it is unknown.
pub(crate) fn expected_objects(cursor: &Cursor) -> Option<u64> {
    let parameters = &cursor.parameters;
    let is_known = parameters.mode != Mode::Since && parameters.from.is_none();
    is_known.then(|| declared(cursor).min(parameters.limit.unwrap_or(u64::MAX)))
}

/// How many assets `/domains` declares for the domains of a run. 0 for a `--cursor` run, where it is unknown.
pub(crate) fn declared(cursor: &Cursor) -> u64 {
    let RunParameters { domains, from, .. } = &cursor.parameters;
    let is_included =
        |name: &String| domains.is_empty() || domains.iter().any(|domain| domain.eq_ignore_ascii_case(name));
    let declared = cursor.declared.iter().filter(|(name, _)| from.is_none() && is_included(name));
    declared.map(|(_, count)| count).sum()
}

/// Checks that a run that has covered all ids saw any assets. A resumed run does not know which answers covered its
/// intervals, but a catalog that declares assets and returns none is not complete.
///
/// # Errors
/// If no object was seen although `/domains` declares some.
pub(crate) fn check_seen(cursor: &Cursor) -> anyhow::Result<()> {
    let (seen, declared) = (cursor.objects + cursor.missed.skipped, declared(cursor));
    ensure!(seen > 0 || declared == 0, "the API returned no assets, but /domains declares {declared}");
    Ok(())
}

/// The cursor of a run that has published everything, end-of-run records included.
pub(crate) fn ended(cursor: &Cursor, ended_at: OffsetDateTime) -> Cursor {
    let ended = Cursor { state: RunState::Ended, ended_at: Some(ended_at), ..cursor.clone() };
    full_crawls::update(complete_since::update(ended))
}

#[cfg(test)]
mod tests {
    use catalog_shared::cursor::Since;
    use catalog_shared::missed::Missed;

    use super::*;

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    fn full() -> RunParameters {
        RunParameters::full()
    }

    fn part(limit: Option<u64>) -> RunParameters {
        RunParameters { mode: Mode::Part, limit, from: Some("ijzp-q8t2".into()), ..full() }
    }

    fn since(from: i64) -> RunParameters {
        RunParameters {
            mode: Mode::Since,
            since: Some(Since { flags: "auto".into(), from: at(from) }),
            ..full()
        }
    }

    fn started(parameters: RunParameters) -> Cursor {
        new_cursor(Region::Us, parameters, 1, &BTreeMap::new())
    }

    #[test]
    fn a_partial_run_starts_after_its_id() {
        assert_eq!(started(part(None)).pending, [Interval { after: "ijzp-q8t2".into(), until: None }]);
        assert_eq!(started(full()).pending, [Interval::whole()]);
    }

    #[test]
    fn a_limit_and_a_listing_have_one_lane() {
        let lanes = |parameters| lanes(&started(parameters), 4);
        assert_eq!((lanes(full()), lanes(part(None))), (4, 4));
        assert_eq!((lanes(part(Some(5))), lanes(since(0))), (1, 1));
    }

    #[test]
    fn only_the_domains_of_the_run_are_declared() {
        let declared = |domains: &[&str], from: Option<&str>| {
            let domains = domains.iter().map(|&name| name.into()).collect();
            let parameters = RunParameters { domains, from: from.map(Into::into), ..part(None) };
            let declared = [("A.example", 2_000), ("b.example", 7), ("c.example", 0)];
            let declared = declared.map(|(name, count)| (name.into(), count)).into();
            super::declared(&Cursor { declared, ..started(parameters) })
        };
        assert_eq!(declared(&[], None), 2_007);
        assert_eq!((declared(&["a.example"], None), declared(&["c.example"], None)), (2_000, 0));
        assert_eq!(declared(&["a.example"], Some("ijzp-q8t2")), 0);
    }

    #[test]
    fn a_run_without_objects_is_complete_only_if_none_are_declared() {
        let declares = |count| Cursor { declared: [("a.example".into(), count)].into(), ..started(full()) };
        let is_complete = |cursor: Cursor| check_seen(&cursor).is_ok();
        assert!(is_complete(declares(0)) && !is_complete(declares(7)));
        assert!(
            is_complete(Cursor { objects: 1, ..declares(7) })
                && is_complete(Cursor { missed: Missed { skipped: 1, ..Missed::default() }, ..declares(7) })
        );
    }

    #[test]
    fn only_a_run_that_saw_all_changes_can_be_continued_from() {
        let after = |parameters| {
            let run =
                Cursor { complete_since: Some(at(1_000)), started_at: at(5_000), ..started(parameters) };
            ended(&run, at(6_000)).complete_since
        };
        assert_eq!((after(full()), after(since(1_000))), (Some(at(5_000)), Some(at(5_000))));
        assert_eq!(after(part(None)), Some(at(1_000)));
        assert_eq!(after(RunParameters { kinds: vec![RecordType::Domains], ..full() }), Some(at(1_000)));
        // It leaves a gap after the run before.
        assert_eq!(after(since(1_001)), Some(at(1_000)));
        let skipped = Cursor {
            complete_since: Some(at(1_000)),
            missed: Missed { skipped: 1, ..Missed::default() },
            ..started(full())
        };
        assert_eq!(ended(&skipped, at(6_000)).complete_since, Some(at(1_000)));
    }

    #[test]
    fn expected_objects_follow_from_the_parameters() {
        let expected = |parameters| {
            let declared = [("a.example".into(), 30), ("B.example".into(), 20), ("c.example".into(), 1)];
            expected_objects(&Cursor { declared: declared.into(), ..started(parameters) })
        };
        let domains = vec!["a.example".to_owned(), "b.example".to_owned()];
        let of_domains = RunParameters { mode: Mode::Part, domains, ..full() };
        assert_eq!((expected(full()), expected(of_domains.clone())), (Some(51), Some(50)));
        let limited = |limit| expected(RunParameters { limit: Some(limit), ..of_domains.clone() });
        assert_eq!((limited(7), limited(70)), (Some(7), Some(50)));
        assert_eq!((expected(since(0)), expected(part(Some(7)))), (None, None));
    }
}
