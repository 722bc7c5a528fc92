//! A run's cursor at its beginning and at its end.

use std::collections::BTreeMap;

use anyhow::ensure;
use catalog_shared::cursor::{Cursor, Interval, PartitionCounts, RunState, Shape};
use catalog_shared::record::{Kind, SCHEMA};
use catalog_shared::region::Region;
use time::OffsetDateTime;

use crate::crawl::listing;
use crate::run::complete_since;

/// The cursor of a run that has not begun.
pub(crate) fn fresh(region: Region, shape: Shape, run: u32, partitions: &BTreeMap<Kind, i32>) -> Cursor {
    let of_run = |kind: &Kind| partitions.get(kind).map(|count| (*kind, *count));
    let partitions: BTreeMap<Kind, i32> = shape.kinds.iter().filter_map(of_run).collect();
    let zeros = |count: &i32| vec![0; usize::try_from(*count).unwrap_or_default()];
    let published: PartitionCounts = partitions.iter().map(|(kind, count)| (*kind, zeros(count))).collect();
    let whole = Interval { after: shape.from.clone().unwrap_or_default(), until: None };
    Cursor {
        schema: SCHEMA,
        region,
        owner: String::new(),
        run,
        state: RunState::Crawling,
        stopped: None,
        shape,
        started_at: OffsetDateTime::now_utc(),
        ended_at: None,
        previous_ended: None,
        next_page: 0,
        pending: vec![whole],
        max_id: None,
        objects: 0,
        partitions,
        published,
        unkeyed: 0,
        skipped: 0,
        bad_domains: 0,
        unkeyed_by: BTreeMap::new(),
        unread_ids: Vec::new(),
        declared: BTreeMap::new(),
        seen: BTreeMap::new(),
        complete_since: None,
        domains_complete_since: Vec::new(),
        history: Vec::new(),
    }
}

/// Into how many lanes what is pending may be cut. A run with a limit takes the first assets in the order
/// of their ids, so that it is the same each time and another can go on behind it. A listing by date has
/// no use for lanes.
pub(crate) fn lanes(cursor: &Cursor, concurrency: u16) -> usize {
    let whole = cursor.shape.limit.is_some() || listing::listing(cursor).is_some();
    if whole { 1 } else { usize::from(concurrency) }
}

/// How many assets of those that a run asks for `/domains` declares; behind an id nobody knows.
pub(crate) fn declared(cursor: &Cursor) -> u64 {
    let Shape { domains, from, .. } = &cursor.shape;
    let is_asked =
        |name: &String| domains.is_empty() || domains.iter().any(|asked| asked.eq_ignore_ascii_case(name));
    let asked = cursor.declared.iter().filter(|(name, _)| from.is_none() && is_asked(name));
    asked.map(|(_, count)| count).sum()
}

/// Whether a run that is covered may be the truth. Which interval was covered by what is not known any more
/// when it is resumed, but a catalog that declares assets and shows none is not whole.
///
/// # Errors
/// When no object was seen where some are declared.
pub(crate) fn check_seen(cursor: &Cursor) -> anyhow::Result<()> {
    let (seen, declared) = (cursor.objects + cursor.skipped, declared(cursor));
    ensure!(seen > 0 || declared == 0, "the API shows no asset, where /domains declares {declared}");
    Ok(())
}

/// The cursor of a run that has published everything.
pub(crate) fn ended(cursor: &Cursor, ended_at: OffsetDateTime) -> Cursor {
    let ended = Cursor { state: RunState::Ended, ended_at: Some(ended_at), ..cursor.clone() };
    complete_since::moved_on(ended)
}

#[cfg(test)]
mod tests {
    use catalog_shared::cursor::{Mode, Since};

    use super::*;

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    fn full() -> Shape {
        Shape {
            mode: Mode::Full,
            kinds: Kind::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        }
    }

    fn part(limit: Option<u64>) -> Shape {
        Shape { mode: Mode::Part, limit, from: Some("ijzp-q8t2".into()), ..full() }
    }

    fn since(from: i64) -> Shape {
        Shape { mode: Mode::Since, since: Some(Since { asked: "auto".into(), from: at(from) }), ..full() }
    }

    fn begun(shape: Shape) -> Cursor {
        fresh(Region::Us, shape, 1, &BTreeMap::new())
    }

    #[test]
    fn a_part_begins_behind_its_id() {
        assert_eq!(begun(part(None)).pending, [Interval { after: "ijzp-q8t2".into(), until: None }]);
        assert_eq!(begun(full()).pending, [Interval::whole()]);
    }

    #[test]
    fn a_limit_and_a_listing_have_one_lane() {
        let lanes = |shape| lanes(&begun(shape), 4);
        assert_eq!((lanes(full()), lanes(part(None))), (4, 4));
        assert_eq!((lanes(part(Some(5))), lanes(since(0))), (1, 1));
    }

    #[test]
    fn what_is_declared_is_of_the_domains_that_are_asked_for() {
        let declared = |domains: &[&str], from: Option<&str>| {
            let domains = domains.iter().map(|&name| name.into()).collect();
            let shape = Shape { domains, from: from.map(Into::into), ..part(None) };
            let declared = [("A.example", 2_000), ("b.example", 7), ("c.example", 0)];
            let declared = declared.map(|(name, count)| (name.into(), count)).into();
            super::declared(&Cursor { declared, ..begun(shape) })
        };
        assert_eq!(declared(&[], None), 2_007);
        assert_eq!((declared(&["a.example"], None), declared(&["c.example"], None)), (2_000, 0));
        assert_eq!(declared(&["a.example"], Some("ijzp-q8t2")), 0);
    }

    #[test]
    fn a_run_without_an_object_is_whole_only_where_none_is_declared() {
        let declares = |count| Cursor { declared: [("a.example".into(), count)].into(), ..begun(full()) };
        let is_true = |cursor: Cursor| check_seen(&cursor).is_ok();
        assert!(is_true(declares(0)) && !is_true(declares(7)));
        assert!(
            is_true(Cursor { objects: 1, ..declares(7) }) && is_true(Cursor { skipped: 1, ..declares(7) })
        );
    }

    #[test]
    fn only_a_run_that_saw_all_changes_is_one_to_start_from() {
        let after = |shape| {
            let run = Cursor { complete_since: Some(at(1_000)), started_at: at(5_000), ..begun(shape) };
            ended(&run, at(6_000)).complete_since
        };
        assert_eq!((after(full()), after(since(1_000))), (Some(at(5_000)), Some(at(5_000))));
        assert_eq!(after(part(None)), Some(at(1_000)));
        assert_eq!(after(Shape { kinds: vec![Kind::Domains], ..full() }), Some(at(1_000)));
        // It leaves a gap behind the run before.
        assert_eq!(after(since(1_001)), Some(at(1_000)));
        let skipped = Cursor { complete_since: Some(at(1_000)), skipped: 1, ..begun(full()) };
        assert_eq!(ended(&skipped, at(6_000)).complete_since, Some(at(1_000)));
    }
}
