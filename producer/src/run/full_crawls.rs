//! When the last full crawls started, for `--full-every`: of the region, and of sets of domains.

use std::collections::BTreeSet;

use catalog_shared::cursor::{Coverage, Cursor, DomainsComplete};
use time::OffsetDateTime;

use crate::run::domain_sets::put_first;

/// The cursor of an ended run, with its start if it was a full crawl. A run that skipped objects counts too: another full crawl
/// would skip them again.
pub(crate) fn update(mut ended: Cursor) -> Cursor {
    let domains = match ended.parameters.coverage() {
        Coverage::Full => BTreeSet::new(),
        Coverage::Domains(domains) => domains,
        Coverage::None => return ended,
    };
    put_first(&mut ended.full_crawls, DomainsComplete { domains, since: ended.started_at });
    ended
}

/// When the last full crawl of these domains started, or of the region if there are none.
pub(crate) fn last(cursor: &Cursor, domains: &[String]) -> Option<OffsetDateTime> {
    let domains: BTreeSet<String> = domains.iter().map(|name| name.to_ascii_lowercase()).collect();
    cursor.full_crawls.iter().find(|crawl| crawl.domains == domains).map(|crawl| crawl.since)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::{Mode, RunParameters, RunState, Since};
    use catalog_shared::region::Region;
    use time::Duration;

    use super::*;
    use crate::run::lifecycle::{ended, new_cursor};
    use crate::run::request::CrawlRequest;
    use crate::run::start::Start;

    fn at(hours: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::hours(hours)
    }

    fn full() -> RunParameters {
        RunParameters::full()
    }

    fn incremental() -> RunParameters {
        let since = Some(Since { flags: "auto".into(), from: at(0) });
        RunParameters { mode: Mode::Since, since, ..full() }
    }

    fn of_domain() -> RunParameters {
        RunParameters { mode: Mode::Part, domains: vec!["A.example".into()], ..full() }
    }

    /// The cursor after runs that started at these hours.
    fn after(runs: &[(RunParameters, i64)]) -> Cursor {
        let mut last = new_cursor(Region::Us, full(), 0, &BTreeMap::new());
        for (parameters, hour) in runs {
            last =
                ended(&Cursor { parameters: parameters.clone(), started_at: at(*hour), ..last }, at(*hour));
        }
        last
    }

    fn every_day(since: i64) -> CrawlRequest {
        let full_since = Some(at(since));
        CrawlRequest {
            region: Region::Us,
            parameters: full(),
            since: None,
            full_since,
            restart: false,
            first_run: 1,
        }
    }

    #[test]
    fn only_the_last_full_crawl_of_the_same_domains_counts() {
        let cursor = after(&[(full(), 1), (full(), 2), (of_domain(), 3), (incremental(), 4)]);
        assert_eq!(last(&cursor, &[]), Some(at(2)));
        assert_eq!(last(&cursor, &["a.example".into()]), Some(at(3)));
        assert_eq!(last(&cursor, &["b.example".into()]), None);
    }

    #[test]
    fn a_run_is_full_once_in_its_interval_and_incremental_otherwise() {
        let mode =
            |request: &CrawlRequest, cursor: &Cursor| request.new_parameters(Some(cursor)).unwrap().mode;
        let cursor = after(&[(full(), 1), (incremental(), 6)]);
        assert_eq!(mode(&every_day(0), &cursor), Mode::Since);
        assert_eq!(mode(&every_day(24), &cursor), Mode::Full);
        // Without a complete run there is nothing to start from.
        let skipped = Cursor { complete_since: None, ..cursor.clone() };
        assert_eq!(mode(&every_day(0), &skipped), Mode::Full);
        // A clock was a century ahead.
        let ahead = after(&[(full(), 24 * 365 * 200)]);
        assert_eq!(mode(&every_day(0), &ahead), Mode::Full);
        assert_eq!(every_day(0).new_parameters(None).unwrap().mode, Mode::Full);
    }

    #[test]
    fn a_slot_is_done_after_a_run_that_started_in_it_and_ended() {
        let done = |cursor: &Cursor, slot| every_day(0).is_done(cursor, at(slot), at(9));
        let cursor = after(&[(full(), 1), (incremental(), 6)]);
        assert!(done(&cursor, 6) && !done(&cursor, 7));
        assert!(!done(&Cursor { state: RunState::Crawling, ..cursor.clone() }, 6));
        // A full crawl is still due, or another process's crawl was the last one.
        assert!(!every_day(4).is_done(&cursor, at(6), at(9)));
        assert!(!done(&after(&[(full(), 1), (of_domain(), 6)]), 6));
        // By a clock that was ahead.
        assert!(!every_day(0).is_done(&cursor, at(5), at(5)));
    }

    #[test]
    fn an_interrupted_run_of_both_modes_is_continued_and_any_other_is_refused() {
        let resumes = |parameters: &RunParameters| every_day(0).matches(parameters);
        assert!(resumes(&full()) && resumes(&incremental()) && !resumes(&of_domain()));
        let since = Some(Since { flags: "7days".into(), from: at(0) });
        assert!(!resumes(&RunParameters { since, ..incremental() }));
        let without = CrawlRequest { full_since: None, ..every_day(0) };
        assert!(without.matches(&full()) && !without.matches(&incremental()));
        let auto = CrawlRequest {
            since: Some(Start::AUTO),
            parameters: RunParameters { since: None, ..incremental() },
            ..without
        };
        assert!(auto.matches(&incremental()) && !auto.matches(&full()));
    }
}
