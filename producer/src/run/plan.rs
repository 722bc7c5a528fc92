//! Decides which run to crawl: the interrupted one or a new one.

use std::collections::BTreeMap;

use catalog_shared::cursor::{Cursor, DomainsComplete, PastRun, RunParameters, RunState};
use catalog_shared::exit::Stop;
use catalog_shared::record::{RecordType, SCHEMA};
use time::OffsetDateTime;

use crate::run::difference;
use crate::run::lifecycle::new_cursor;
use crate::run::request::CrawlRequest;

/// Whether to resume a run or to start a new one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Resume(Box<Cursor>),
    Start {
        run: u32,
        shape: Box<RunParameters>,
        previous_ended: Option<u32>,
        complete_since: Option<OffsetDateTime>,
        domains_complete_since: Vec<DomainsComplete>,
        full_crawls: Vec<DomainsComplete>,
        history: Vec<PastRun>,
    },
}

/// Decides based on the region's last cursor.
///
/// # Errors
/// [`Stop::Usage`] if an interrupted run has other parameters; [`Stop::Guard`] if a newer build wrote the cursor.
pub(crate) fn plan(request: &CrawlRequest, last: Option<Cursor>) -> Result<Plan, Stop> {
    let Some(last) = last else { return first_run(request) };
    if last.schema > SCHEMA {
        let found = last.schema;
        return Err(Stop::Guard(format!(
            "the cursor of region {} has schema {found}, and this build reads schemas up to {SCHEMA}: upgrade the \
             producer",
            request.region
        )));
    }
    if last.state == RunState::Ended {
        return start_after(request, &last, Some(last.run));
    }
    if request.restart {
        return start_after(request, &last, last.previous_ended);
    }
    if !request.matches(&last.shape) {
        return Err(Stop::Usage(different_flags(&last, request)));
    }
    Ok(Plan::Resume(Box::new(last)))
}

fn first_run(request: &CrawlRequest) -> Result<Plan, Stop> {
    Ok(Plan::Start {
        run: request.first_run,
        shape: request.new_shape(None)?,
        // With --first-run, end-of-run records of earlier runs may still be unread.
        previous_ended: Some(request.first_run - 1).filter(|run| *run > 0),
        complete_since: None,
        domains_complete_since: Vec::new(),
        full_crawls: Vec::new(),
        history: Vec::new(),
    })
}

fn start_after(request: &CrawlRequest, last: &Cursor, previous_ended: Option<u32>) -> Result<Plan, Stop> {
    Ok(Plan::Start {
        // --first-run counts only if it is larger, for example after a cursor was lost.
        run: last.run.saturating_add(1).max(request.first_run),
        shape: request.new_shape(Some(last))?,
        previous_ended,
        complete_since: last.complete_since,
        domains_complete_since: last.domains_complete_since.clone(),
        full_crawls: last.full_crawls.clone(),
        history: last.history_with_own(),
    })
}

fn different_flags(last: &Cursor, request: &CrawlRequest) -> String {
    let was = last.shape.since.as_ref().map(|since| since.asked.clone());
    let is = request.since.map(|start| start.flags());
    format!(
        "run {} of {} was interrupted and had other flags: {}. Use the same flags to resume it, or --restart to \
         discard it and start run {}",
        last.run,
        last.region,
        difference::describe((&last.shape, was), (&request.shape, is)),
        last.run.saturating_add(1),
    )
}

impl Plan {
    /// The cursor that claims the region for the producer instance `owner`.
    ///
    /// # Errors
    /// [`Stop::Guard`] if a topic has fewer partitions than the interrupted run has written to. Then it was
    /// recreated, and what the run published is gone.
    pub(crate) fn claim(
        self,
        request: &CrawlRequest,
        owner: &str,
        partitions: &BTreeMap<RecordType, i32>,
    ) -> Result<Cursor, Stop> {
        let owner = owner.to_owned();
        match self {
            Self::Resume(cursor) => {
                let shrunk = |(kind, count): (&RecordType, &i32)| partitions.get(kind) < Some(count);
                if cursor.partitions.iter().any(shrunk) {
                    return Err(Stop::Guard(format!(
                        "run {} wrote to topics with more partitions than there are now: the topics were recreated. \
                         Use --restart to start a new run",
                        cursor.run
                    )));
                }
                Ok(Cursor { owner, stopped: None, ..*cursor })
            }
            Self::Start {
                run,
                shape,
                previous_ended,
                complete_since,
                domains_complete_since,
                full_crawls,
                history,
            } => {
                let new = new_cursor(request.region, *shape, run, partitions);
                let new = Cursor { owner, previous_ended, history, ..new };
                Ok(Cursor { complete_since, domains_complete_since, full_crawls, ..new })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use catalog_shared::cursor::{HISTORY, Mode, PastState, Since};
    use catalog_shared::region::Region;

    use super::*;
    use crate::run::lifecycle::ended;
    use crate::run::start::Start;

    fn requested(kinds: &[RecordType], restart: bool) -> CrawlRequest {
        let api_url = "http://127.0.0.1/api/catalog/v1".into();
        let shape = RunParameters { kinds: kinds.to_vec(), api_url, ..RunParameters::full() };
        CrawlRequest { region: Region::Us, shape, since: None, full_since: None, restart, first_run: 1 }
    }

    fn partitions() -> BTreeMap<RecordType, i32> {
        BTreeMap::from([(RecordType::Datasets, 3), (RecordType::Domains, 1)])
    }

    fn crawling(run: u32) -> Cursor {
        let shape = requested(&RecordType::ALL, false).shape;
        Cursor { previous_ended: Some(run - 2), ..new_cursor(Region::Us, shape, run, &partitions()) }
    }

    #[test]
    fn a_region_without_a_cursor_starts_at_the_given_run() {
        let request = CrawlRequest { first_run: 40, ..requested(&RecordType::ALL, false) };
        assert!(matches!(plan(&request, None), Ok(Plan::Start { run: 40, .. })));
    }

    #[test]
    fn an_interrupted_run_is_resumed_by_a_new_owner() {
        let resumed = plan(&requested(&RecordType::ALL, false), Some(crawling(7))).unwrap();
        let cursor = resumed.claim(&requested(&RecordType::ALL, false), "me", &partitions()).unwrap();
        assert_eq!((cursor.run, cursor.owner.as_str()), (7, "me"));
    }

    #[test]
    fn an_ended_run_is_followed_and_a_restarted_one_is_abandoned() {
        let followed =
            plan(&requested(&RecordType::ALL, false), Some(ended(&crawling(7), OffsetDateTime::now_utc())))
                .unwrap();
        assert!(matches!(
            followed,
            Plan::Start { run: 8, previous_ended: Some(7), complete_since: Some(_), .. }
        ));
        let passed = plan(&requested(&RecordType::ALL, true), Some(crawling(7))).unwrap();
        assert!(matches!(passed, Plan::Start { run: 8, previous_ended: Some(5), complete_since: None, .. }));
    }

    #[test]
    fn a_run_starts_with_the_history_of_the_runs_before_it() {
        let begun = |last| match plan(&requested(&RecordType::ALL, true), Some(last)) {
            Ok(Plan::Start { history, .. }) => history,
            other => panic!("{other:?}"),
        };
        let mut last = ended(&crawling(7), OffsetDateTime::now_utc());
        for run in 8..=20 {
            last = Cursor { history: begun(last), ..crawling(run) };
        }
        let past_runs: Vec<_> = last.history.iter().map(|past| (past.run, past.state)).collect();
        assert_eq!(
            (past_runs.len(), past_runs[0], past_runs[9]),
            (HISTORY, (19, PastState::Abandoned), (10, PastState::Abandoned))
        );
        let followed = begun(ended(&last, OffsetDateTime::now_utc()));
        assert_eq!((followed[0].run, followed[0].state), (20, PastState::Ended));
    }

    #[test]
    fn a_cursor_without_a_history_is_read() {
        let cursor = crawling(7);
        let mut json = serde_json::to_value(&cursor).unwrap();
        json.as_object_mut().unwrap().remove("history").unwrap();
        assert_eq!(serde_json::from_value::<Cursor>(json).unwrap(), cursor);
    }

    #[test]
    fn other_flags_are_refused_and_restart_is_named() {
        let error = plan(&requested(&[RecordType::Domains], false), Some(crawling(7))).unwrap_err();
        assert!(matches!(&error, Stop::Usage(text) if text.contains("--restart")), "{error}");
    }

    #[test]
    fn recreated_topics_are_refused() {
        let resumed = plan(&requested(&RecordType::ALL, false), Some(crawling(7))).unwrap();
        let fewer = BTreeMap::from([(RecordType::Datasets, 2), (RecordType::Domains, 1)]);
        assert!(matches!(
            resumed.claim(&requested(&RecordType::ALL, false), "me", &fewer),
            Err(Stop::Guard(_))
        ));
    }

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    fn since(start: Start) -> CrawlRequest {
        let full = requested(&RecordType::ALL, false);
        CrawlRequest { shape: RunParameters { mode: Mode::Since, ..full.shape }, since: Some(start), ..full }
    }

    const fn auto(overlap: u64) -> Start {
        Start::Auto { overlap: Duration::from_secs(overlap) }
    }

    const AUTO: Start = auto(100);

    fn begun(request: &CrawlRequest, last: Option<Cursor>) -> Cursor {
        plan(request, last).unwrap().claim(request, "me", &partitions()).unwrap()
    }

    #[test]
    fn auto_is_resumed_with_the_time_of_the_first_start() {
        let last = Cursor { complete_since: Some(at(1_000)), ..crawling(7) };
        let begun = begun(&since(AUTO), Some(Cursor { state: RunState::Ended, ..last }));
        assert_eq!(begun.shape.since, Some(Since { asked: AUTO.flags(), from: at(900) }));

        let resumed = plan(&since(AUTO), Some(begun.clone())).unwrap();
        assert_eq!(resumed, Plan::Resume(Box::new(begun.clone())));
        for other in [Start::At(at(900)), auto(101), auto(3_600)] {
            let refused = plan(&since(other), Some(begun.clone())).unwrap_err();
            assert!(
                refused.to_string().contains("--since was auto, with --overlap 100s and is "),
                "{refused}"
            );
        }
    }

    fn part() -> RunParameters {
        RunParameters { mode: Mode::Part, limit: Some(5), ..requested(&RecordType::ALL, false).shape }
    }

    #[test]
    fn auto_needs_a_complete_run() {
        for last in [None, Some(ended(&Cursor { shape: part(), ..crawling(7) }, at(0)))] {
            assert!(matches!(plan(&since(AUTO), last), Err(Stop::Usage(_))));
        }
    }
}
