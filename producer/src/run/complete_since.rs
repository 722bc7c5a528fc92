//! Where `--since auto` starts: when the last run started that saw all changes of the region, or of a set of domains
//! that was crawled separately.

use std::collections::BTreeSet;

use catalog_shared::cursor::{Coverage, Cursor, DomainsComplete, Mode, RunParameters, Since};
use catalog_shared::record::RecordType;
use time::OffsetDateTime;

use crate::run::domain_sets::put_first;

/// The cursor of an ended run, with its start as the new `complete_since` if the run saw all changes. A run over some
/// domains never changes the region's.
pub(crate) fn update(mut ended: Cursor) -> Cursor {
    if !saw_all_changes(&ended) {
        return ended;
    }
    let (domains, since) = (names(&ended.parameters.domains), ended.started_at);
    if domains.is_empty() {
        ended.complete_since = Some(since);
        return ended;
    }
    put_first(&mut ended.domains_complete_since, DomainsComplete { domains, since });
    ended
}

/// When the last run started that saw all changes of these domains, or of the whole region if there are none.
/// A run of the region counts for the domains that `/domains` listed, because it sees no others.
///
/// The result is later than `now` only if there is no earlier time. The clock of that run ran ahead, so nobody knows when it
/// really started.
pub(crate) fn complete_since(
    cursor: &Cursor,
    domains: &[String],
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let times = times(cursor, domains);
    times
        .into_iter()
        .flatten()
        .filter(|time| *time <= now)
        .max()
        .or_else(|| times.into_iter().flatten().min())
}

/// The times of such runs: of the domains alone, and of the region.
fn times(cursor: &Cursor, domains: &[String]) -> [Option<OffsetDateTime>; 2] {
    if domains.is_empty() {
        return [None, cursor.complete_since];
    }
    let domains = names(domains);
    let own = cursor.domains_complete_since.iter().find(|set| set.domains == domains).map(|set| set.since);
    let listed: BTreeSet<String> = cursor.declared.keys().map(|name| name.to_ascii_lowercase()).collect();
    [own, cursor.complete_since.filter(|_| domains.is_subset(&listed))]
}

fn names(domains: &[String]) -> BTreeSet<String> {
    domains.iter().map(|name| name.to_ascii_lowercase()).collect()
}

/// Whether the next incremental run over the same domains may start from this one. An incremental run that starts later
/// than the last such run leaves a gap between the two, which the next one must cover. A run that skipped an object
/// does not know when that object changed.
fn saw_all_changes(cursor: &Cursor) -> bool {
    let RunParameters { mode, domains, kinds, since, .. } = &cursor.parameters;
    let is_complete = match mode {
        Mode::Full | Mode::Since => true,
        Mode::Part => matches!(cursor.parameters.coverage(), Coverage::Domains(_)),
    };
    // Domains that were never crawled separately have no earlier run to continue from.
    let follows = |since: &Since| match complete_since(cursor, domains, cursor.started_at) {
        Some(complete) => since.from <= complete && complete <= cursor.started_at,
        None => domains.is_empty(),
    };
    is_complete
        && cursor.missed.skipped == 0
        && kinds.contains(&RecordType::Datasets)
        && since.as_ref().is_none_or(follows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::DOMAIN_SETS;
    use catalog_shared::region::Region;

    use super::*;
    use crate::run::lifecycle::{ended, new_cursor};

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    fn whole() -> RunParameters {
        RunParameters { mode: Mode::Part, ..RunParameters::full() }
    }

    fn since(from: i64) -> RunParameters {
        RunParameters {
            mode: Mode::Since,
            since: Some(Since { flags: "auto".into(), from: at(from) }),
            ..whole()
        }
    }

    fn started(parameters: RunParameters) -> Cursor {
        new_cursor(Region::Us, parameters, 1, &BTreeMap::new())
    }

    fn complete(names: &[&str], since: i64) -> DomainsComplete {
        DomainsComplete { domains: names.iter().map(|&name| name.to_owned()).collect(), since: at(since) }
    }

    #[test]
    fn a_scoped_auto_starts_from_the_later_of_its_domains_and_of_the_region() {
        let last = Cursor {
            complete_since: Some(at(5_000)),
            domains_complete_since: vec![
                complete(&["a.example"], 9_000),
                complete(&["sandbox.example"], 3_000),
            ],
            declared: [("A.example".into(), 1), ("b.example".into(), 1)].into(),
            ..started(whole())
        };
        let from = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            complete_since(&last, &names, at(10_000))
        };
        assert_eq!(from(&["a.example"]), Some(at(9_000)));
        assert_eq!(from(&["a.example", "b.example"]), Some(at(5_000)));
        // Full crawls don't see domains that /domains doesn't list.
        assert_eq!(from(&["sandbox.example"]), Some(at(3_000)));
        assert_eq!(from(&["a.example", "sandbox.example"]), None);
        assert_eq!(from(&[]), Some(at(5_000)));
    }

    #[test]
    fn a_time_in_the_future_counts_only_if_there_is_no_other() {
        let last = Cursor {
            complete_since: Some(at(9_000)),
            domains_complete_since: vec![complete(&["a.example"], 4_000)],
            declared: [("a.example".into(), 1)].into(),
            ..started(whole())
        };
        let from = |names: &[String], now| complete_since(&last, names, at(now));
        assert_eq!((from(&[], 8_999), from(&[], 9_000)), (Some(at(9_000)), Some(at(9_000))));
        let domain = ["a.example".to_owned()];
        assert_eq!(from(&domain, 9_000), Some(at(9_000)));
        assert_eq!(from(&domain, 8_999), Some(at(4_000)));
        assert_eq!(from(&domain, 3_999), Some(at(4_000)));
    }

    #[test]
    fn a_run_after_one_in_the_future_is_no_start_of_auto_unless_it_is_full() {
        let after = |parameters| {
            let run =
                Cursor { complete_since: Some(at(9_000)), started_at: at(5_000), ..started(parameters) };
            ended(&run, at(6_000)).complete_since
        };
        assert_eq!(after(since(4_000)), Some(at(9_000)));
        assert_eq!(after(RunParameters::full()), Some(at(5_000)));
    }

    fn over(names: &[&str], parameters: RunParameters) -> RunParameters {
        RunParameters { domains: names.iter().map(|&name| name.to_owned()).collect(), ..parameters }
    }

    /// A run over a.example that started at 5000 s, after one of the region and one of the domain.
    fn scoped(region: Option<i64>, own: Option<i64>, parameters: RunParameters) -> Cursor {
        let set = |since| complete(&["a.example"], since);
        let run = Cursor {
            complete_since: region.map(at),
            domains_complete_since: own.map(set).into_iter().collect(),
            declared: [("a.example".into(), 7)].into(),
            started_at: at(5_000),
            ..started(over(&["A.example"], parameters))
        };
        ended(&run, at(6_000))
    }

    #[test]
    fn a_run_over_domains_changes_their_time_and_not_the_regions() {
        let cut = RunParameters { from: Some("ijzp-q8t2".into()), ..whole() };
        let times = |cursor: &Cursor| {
            let own: Vec<_> = cursor.domains_complete_since.iter().map(|set| set.since).collect();
            (cursor.complete_since, own)
        };
        assert_eq!(times(&scoped(Some(1_000), None, whole())), (Some(at(1_000)), vec![at(5_000)]));
        assert_eq!(times(&scoped(None, Some(2_000), whole())), (None, vec![at(5_000)]));
        // A part of the domain.
        assert_eq!(times(&scoped(None, Some(2_000), cut)), (None, vec![at(2_000)]));
        assert_eq!(times(&scoped(None, None, RunParameters { limit: Some(5), ..whole() })), (None, vec![]));
        // From the later time on, after it, and after nothing.
        assert_eq!(times(&scoped(Some(3_000), Some(2_000), since(3_000))).1, [at(5_000)]);
        assert_eq!(times(&scoped(Some(3_000), Some(2_000), since(3_001))).1, [at(2_000)]);
        assert!(times(&scoped(None, None, since(1))).1.is_empty());
    }

    #[test]
    fn the_newest_fifty_sets_of_domains_are_kept() {
        let mut cursor = started(whole());
        for index in 0..60 {
            let parameters = over(&[&format!("{index:02}.example"), "b.example"], whole());
            cursor = ended(&Cursor { parameters, started_at: at(index), ..cursor }, at(100));
        }
        let sets = &cursor.domains_complete_since;
        assert_eq!((sets.len(), sets[0].since, sets[49].since), (DOMAIN_SETS, at(59), at(10)));
    }
}
