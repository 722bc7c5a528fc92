//! Findings about the age of crawls.

use catalog_shared::human::{counted, span};
use catalog_shared::region::Region;
use catalog_shared::run_sentences::full_crawl_ended;

use super::{Finding, at_least_zero, whole_seconds};
use crate::commands::check::facts::{DomainCrawl, LastCrawl, LastFullCrawl, RunFacts};
use crate::commands::check::limits::{Level, Limits};

const FULL: &str = "full_crawl";
const DOMAINS: &str = "domain_crawl";
const LAST: &str = "last_crawl";

/// The age of the last accepted crawl of each region: of the last full one, or of the last one of each domain in a region that
/// is only crawled with `--domain`. A region that was asked for, or any if none has a run, must have one.
pub(crate) fn accepted(facts: &RunFacts, asked: Option<Region>, limits: Limits) -> Vec<Finding> {
    if facts.full_crawls.is_empty() {
        return vec![no_run(FULL, asked, limits)];
    }
    let of_region = |crawl: &LastFullCrawl| {
        let domains: Vec<Finding> =
            facts.domain_crawls_of(&crawl.region).map(|crawl| of_domains(crawl, limits)).collect();
        if domains.is_empty() { vec![full(crawl, limits)] } else { domains }
    };
    facts.full_crawls.iter().flat_map(of_region).collect()
}

/// The age of the last crawl of each region in any mode.
pub(crate) fn last(found: &[LastCrawl], asked: Option<Region>, limits: Limits) -> Vec<Finding> {
    if found.is_empty() && limits.highest() != Level::Ok {
        return vec![no_run(LAST, asked, limits)];
    }
    let of_region = |LastCrawl { region, run, mode, age }: &LastCrawl| {
        let found = |run, age| {
            let mode = mode_text(mode.as_deref());
            format!("last crawl of {region} ended {} ago (run {run}, {mode})", span(age))
        };
        let none = || format!("no crawl of {region} has ended");
        aged(LAST, (region, *run, *age), limits, found, none)
    };
    found.iter().map(of_region).collect()
}

fn no_run(check: &'static str, asked: Option<Region>, limits: Limits) -> Finding {
    let (of, region) = match asked {
        Some(region) => (format!(" of {region}"), region),
        None => (String::new(), Region::Us),
    };
    let found = format!("no run{of} has arrived in the tables");
    Finding::plain(check, limits.highest(), found).next(format!("catalog-producer crawl --region {region}"))
}

fn full(LastFullCrawl { region, run, age }: &LastFullCrawl, limits: Limits) -> Finding {
    let none = || format!("no full crawl of {region} was accepted");
    aged(FULL, (region, *run, *age), limits, |run, age| full_crawl_ended(region, run, age), none)
}

fn of_domains(crawl: &DomainCrawl, limits: Limits) -> Finding {
    let DomainCrawl { region, run, age, .. } = crawl;
    let domains = crawl.domains_text();
    let found = |run, age| format!("crawl of {domains} in {region} ended {} ago (run {run})", span(age));
    let none = || format!("no crawl of {domains} in {region} was accepted");
    aged(DOMAINS, (region, *run, *age), limits, found, none)
}

/// A finding about a run that ended some seconds ago, or about the lack of one.
fn aged(
    check: &'static str,
    (region, run, age): (&str, Option<i64>, Option<f64>),
    limits: Limits,
    found: impl FnOnce(i64, u64) -> String,
    none: impl FnOnce() -> String,
) -> Finding {
    let finding = match run.zip(age) {
        Some((run, age)) => {
            let age = whole_seconds(age);
            Finding::aged(check, age, limits, &found(run, age))
        }
        None => Finding::plain(check, limits.highest(), none()),
    };
    finding.of(region, run).next(format!("catalog-producer status --region {region}"))
}

/// A mode in words.
fn mode_text(mode: Option<&str>) -> &str {
    match mode {
        Some("since") => "incremental",
        Some("part") => "partial",
        other => other.unwrap_or("unknown"),
    }
}

impl DomainCrawl {
    /// The domains, without listing all of them.
    pub(crate) fn domains_text(&self) -> String {
        match at_least_zero(self.domains).saturating_sub(1) {
            0 => self.domain.clone(),
            more => format!("{} and {}", self.domain, counted(more, "more domain", "more domains")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::limits::Limit;

    const OFF: Limits = Limits { warning: Limit(None), critical: Limit(None) };
    const DAYS: Limits = Limits { warning: Limit(Some(86_400)), critical: Limit(Some(172_800)) };
    const HOUR: f64 = 3_600.0;

    fn facts(run: Option<i64>, age: Option<f64>) -> RunFacts {
        let full_crawls = vec![LastFullCrawl { region: "eu".into(), run, age }];
        RunFacts { full_crawls, ..RunFacts::default() }
    }

    fn domain(domain: &str, domains: i64, last: Option<(i64, f64)>) -> DomainCrawl {
        let (run, age) = last.unzip();
        DomainCrawl { region: "eu".into(), domain: domain.into(), domains, run, age }
    }

    #[test]
    fn an_old_or_missing_full_crawl_names_the_command_that_shows_the_producer() {
        let levels = |age| accepted(&facts(Some(4), Some(age)), None, DAYS)[0].level;
        assert_eq!(
            [-5.0, 86_399.9, 86_400.0, 200_000.0].map(levels),
            [Level::Ok, Level::Ok, Level::Warning, Level::Critical]
        );
        let missing = &accepted(&facts(None, None), None, DAYS)[0];
        assert_eq!(missing.level, Level::Critical);
        assert_eq!(missing.next.as_deref(), Some("catalog-producer status --region eu"));
        let old = &accepted(&facts(Some(4), Some(90_000.0)), None, DAYS)[0];
        assert_eq!(old.found, "full crawl of eu ended 1 d 1 h ago (run 4), and the limit is 1 d");
        assert_eq!(accepted(&facts(None, None), None, OFF)[0].next, None);
    }

    #[test]
    fn without_any_run_the_next_command_is_a_crawl() {
        for (asked, region) in [(None, "us"), (Some(Region::Eu), "eu")] {
            let found =
                [accepted(&RunFacts::default(), asked, DAYS), last(&[], asked, DAYS)].map(|mut found| {
                    let finding = found.remove(0);
                    (finding.level, finding.next)
                });
            let next = format!("catalog-producer crawl --region {region}");
            assert!(found.iter().all(|found| *found == (Level::Critical, Some(next.clone()))), "{found:?}");
        }
        assert!(last(&[], None, OFF).is_empty());
    }

    #[test]
    fn a_region_that_is_only_crawled_by_domain_is_judged_by_the_crawls_of_its_domains() {
        let mut facts = facts(None, None);
        facts.domain_crawls = vec![
            domain("a.example", 3, Some((9, 2.0 * HOUR))),
            domain("b.example", 1, Some((4, 30.0 * HOUR))),
            domain("c.example", 1, None),
        ];
        let found: Vec<_> = accepted(&facts, None, DAYS)
            .into_iter()
            .map(|finding| (finding.check, finding.level, finding.run, finding.found))
            .collect();
        let text = "crawl of a.example and 2 more domains in eu ended 2 h ago (run 9)";
        assert_eq!(found[0], (DOMAINS, Level::Ok, Some(9), text.to_owned()));
        assert_eq!((found[1].1, found[1].2), (Level::Warning, Some(4)));
        let text = "no crawl of c.example in eu was accepted";
        assert_eq!(found[2], (DOMAINS, Level::Critical, None, text.to_owned()));
        assert_eq!(found.len(), 3);
        // Another region has full crawls.
        facts.full_crawls.push(LastFullCrawl { region: "us".into(), run: Some(1), age: Some(HOUR) });
        let us = &accepted(&facts, None, DAYS)[3];
        assert_eq!((us.check, us.level, us.region.as_deref()), (FULL, Level::Ok, Some("us")));
    }

    #[test]
    fn the_last_crawl_counts_in_any_mode_and_has_limits_of_its_own() {
        let crawl = |mode: Option<&str>, age| LastCrawl {
            region: "us".into(),
            run: mode.map(|_| 9),
            mode: mode.map(str::to_owned),
            age,
        };
        let one = |mode, age, limits| last(&[crawl(mode, age)], None, limits).remove(0);
        let recent = one(Some("since"), Some(2.0 * HOUR), DAYS);
        assert_eq!(
            (recent.level, recent.found.as_str()),
            (Level::Ok, "last crawl of us ended 2 h ago (run 9, incremental)")
        );
        assert_eq!(one(Some("full"), Some(25.0 * HOUR), DAYS).level, Level::Warning);
        let partial = one(Some("part"), Some(900.0 * HOUR), OFF);
        assert_eq!(
            (partial.level, partial.found.as_str()),
            (Level::Ok, "last crawl of us ended 37 d 12 h ago (run 9, partial)")
        );
        assert_eq!(one(None, None, DAYS).found, "no crawl of us has ended");
    }
}
