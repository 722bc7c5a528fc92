//! The run that the command line requests.

use catalog_shared::cursor::{Cursor, Mode, RunParameters, RunState};
use catalog_shared::exit::Stop;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use reqwest::Url;
use time::OffsetDateTime;

use crate::config::CrawlArgs;
use crate::run::complete_since::complete_since;
use crate::run::full_crawls;
use crate::run::start::Start;

/// The run that the command line requests.
#[derive(Clone)]
pub(crate) struct CrawlRequest {
    pub(crate) region: Region,
    /// The run's parameters, without the start of an incremental run.
    pub(crate) parameters: RunParameters,
    pub(crate) since: Option<Start>,
    /// For `--full-every`: the run is incremental if the last full crawl started at or after this time, and full otherwise.
    pub(crate) full_since: Option<OffsetDateTime>,
    pub(crate) restart: bool,
    pub(crate) first_run: u32,
}

impl CrawlRequest {
    /// The run that these flags request from the catalog at `url`.
    ///
    /// # Errors
    /// [`Stop::Usage`] for flags that do not go together.
    pub(crate) fn new(args: &CrawlArgs, url: &Url) -> Result<Self, Stop> {
        let (region, since, first_run) = (args.api.region, Start::of(&args.scope)?, args.first_run);
        // A dry run always shows a run from its start, never the rest of an interrupted one.
        let restart = args.restart || args.dry_run;
        Ok(Self { region, parameters: parameters(args, url), since, full_since: None, restart, first_run })
    }

    /// A request for a new run, after a transaction whose outcome is in doubt. The current run can't be resumed
    /// exactly, and the new number must be unused because records of that transaction may still become visible.
    pub(crate) fn restarted_after(&self, in_doubt: &Cursor) -> Self {
        let first_run = self.first_run.max(in_doubt.run.saturating_add(1));
        Self { restart: true, first_run, ..self.clone() }
    }

    /// The parameters of a new run after the last one.
    ///
    /// # Errors
    /// Those of [`Start::resolve`].
    pub(crate) fn new_parameters(&self, last: Option<&Cursor>) -> anyhow::Result<Box<RunParameters>> {
        let domains = &self.parameters.domains;
        let now = OffsetDateTime::now_utc();
        let complete_since = last.and_then(|last| complete_since(last, domains, now));
        let is_incremental = complete_since.is_some_and(|at| at <= now)
            && last.is_some_and(|last| !self.is_full_crawl_due(last, now));
        let start = self.since.or_else(|| is_incremental.then_some(Start::AUTO));
        let since = start.map(|start| start.resolve(complete_since, domains, now)).transpose()?;
        let mode = if since.is_some() { Mode::Since } else { self.parameters.mode };
        Ok(Box::new(RunParameters { since, mode, ..self.parameters.clone() }))
    }

    /// Whether the next run has to be full. A full crawl in the future, by a clock that was set back since, does not count.
    fn is_full_crawl_due(&self, last: &Cursor, now: OffsetDateTime) -> bool {
        let started = full_crawls::last(last, &self.parameters.domains);
        self.full_since.is_none_or(|since| !started.is_some_and(|at| (since..=now).contains(&at)))
    }

    /// Whether a slot needs no crawl, because a run of this schedule has started since then and has ended.
    pub(crate) fn is_done(&self, last: &Cursor, slot: OffsetDateTime, now: OffsetDateTime) -> bool {
        let is_full_due = self.full_since.is_some() && self.is_full_crawl_due(last, now);
        last.state == RunState::Ended
            && self.matches(&last.parameters)
            && (slot..=now).contains(&last.started_at)
            && !is_full_due
    }

    /// Whether a run with these parameters is the requested one, or one of both with `--full-every`. The time that `auto`
    /// was resolved to is not compared.
    pub(crate) fn matches(&self, parameters: &RunParameters) -> bool {
        let flags = |start: Start| Some(start.flags());
        let asked = parameters.since.as_ref().map(|since| since.flags.clone());
        let is_incremental = self.full_since.is_some() && asked == flags(Start::AUTO);
        let mode = if is_incremental { Mode::Since } else { self.parameters.mode };
        (is_incremental || asked == self.since.and_then(flags))
            && RunParameters { since: None, ..parameters.clone() }
                == RunParameters { mode, ..self.parameters.clone() }
    }
}

/// The parameters that the flags ask for, without the start of an incremental run.
fn parameters(args: &CrawlArgs, url: &Url) -> RunParameters {
    let scope = &args.scope;
    let is_part = scope.limit.is_some() || !scope.domains.is_empty() || scope.cursor.is_some();
    let mode = match scope.since {
        Some(_) => Mode::Since,
        None if is_part => Mode::Part,
        None => Mode::Full,
    };
    let is_published = |kind: &RecordType| args.datasets || *kind != RecordType::Datasets;
    RunParameters {
        mode,
        kinds: RecordType::ALL.into_iter().filter(is_published).collect(),
        api_url: url.to_string(),
        since: None,
        limit: scope.limit,
        domains: scope.domains(),
        from: scope.cursor.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use time::OffsetDateTime;

    use super::*;
    use crate::config::crawl::tests::parse;
    use crate::run::lifecycle::{ended, new_cursor};
    use crate::run::plan::{Plan, plan};

    fn parameters(flags: &[&str]) -> RunParameters {
        super::parameters(&parse(flags), &Url::parse("http://127.0.0.1/").unwrap())
    }

    #[test]
    fn flags_choose_the_mode() {
        assert_eq!(parameters(&[]).mode, Mode::Full);
        assert_eq!(parameters(&["--since", "auto"]).mode, Mode::Since);
        let scoped = parameters(&["--since", "auto", "--domain", "a.example"]);
        assert_eq!((scoped.mode, scoped.domains), (Mode::Since, vec!["a.example".to_owned()]));
        for part in [["--limit", "5"], ["--domain", "a.example"], ["--cursor", "ijzp-q8t2"]] {
            assert_eq!(parameters(&part).mode, Mode::Part, "{part:?}");
        }
    }

    fn requested() -> CrawlRequest {
        let parameters = RunParameters::full();
        CrawlRequest {
            region: Region::Us,
            parameters,
            since: None,
            full_since: None,
            restart: false,
            first_run: 1,
        }
    }

    fn crawling(run: u32) -> Cursor {
        let new = new_cursor(Region::Us, requested().parameters, run, &BTreeMap::new());
        Cursor { previous_ended: run.checked_sub(2), ..new }
    }

    fn started(in_doubt: &Cursor, last: Option<Cursor>) -> (u32, Option<u32>) {
        match plan(&requested().restarted_after(in_doubt), last) {
            Ok(Plan::Start { run, previous_ended, .. }) => (run, previous_ended),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_in_doubt_is_discarded_and_its_number_is_not_reused() {
        assert_eq!(started(&crawling(7), Some(crawling(7))), (8, Some(5)));
        // The claim of run 8 is in doubt.
        let last = ended(&crawling(7), OffsetDateTime::now_utc());
        assert_eq!(started(&crawling(8), Some(last)), (9, Some(7)));
        assert_eq!(started(&crawling(3), None).0, 4);
    }
}
