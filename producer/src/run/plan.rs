//! Decides which run to crawl: the interrupted one or a new one.

use std::collections::BTreeMap;

use anyhow::bail;
use catalog_shared::cursor::{Cursor, RunParameters, RunState};
use catalog_shared::exit::Stop;
use catalog_shared::record::{RecordType, SCHEMA};

use crate::run::difference;
use crate::run::lifecycle::new_cursor;
use crate::run::request::CrawlRequest;

/// Whether to resume a run or to start a new one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Resume(Box<Cursor>),
    Start {
        run: u32,
        parameters: Box<RunParameters>,
        previous_ended: Option<u32>,
        /// The cursor before it, if the region has one.
        previous: Option<Box<Cursor>>,
    },
}

/// Decides based on the region's last cursor.
///
/// # Errors
/// [`Stop::Usage`] if an interrupted run has other parameters; [`Stop::Guard`] if a newer build wrote the cursor. Otherwise
/// those of [`CrawlRequest::new_parameters`].
pub(crate) fn plan(request: &CrawlRequest, last: Option<Cursor>) -> anyhow::Result<Plan> {
    let Some(last) = last else { return first_run(request) };
    if last.schema > SCHEMA {
        let found = last.schema;
        bail!(Stop::Guard(format!(
            "the cursor of region {} has schema {found}, and this build reads schemas up to {SCHEMA}: upgrade the \
             producer",
            request.region
        )));
    }
    if last.state == RunState::Ended {
        let previous_ended = Some(last.run);
        return start_after(request, last, previous_ended);
    }
    if request.restart {
        let previous_ended = last.previous_ended;
        return start_after(request, last, previous_ended);
    }
    if !request.matches(&last.parameters) {
        bail!(Stop::Usage(different_flags(&last, request)));
    }
    Ok(Plan::Resume(Box::new(last)))
}

fn first_run(request: &CrawlRequest) -> anyhow::Result<Plan> {
    Ok(Plan::Start {
        run: request.first_run,
        parameters: request.new_parameters(None)?,
        // With --first-run, end-of-run records of earlier runs may still be unread.
        previous_ended: Some(request.first_run - 1).filter(|run| *run > 0),
        previous: None,
    })
}

fn start_after(request: &CrawlRequest, last: Cursor, previous_ended: Option<u32>) -> anyhow::Result<Plan> {
    Ok(Plan::Start {
        // --first-run counts only if it is larger, for example after a cursor was lost.
        run: last.run.saturating_add(1).max(request.first_run),
        parameters: request.new_parameters(Some(&last))?,
        previous_ended,
        previous: Some(Box::new(last)),
    })
}

fn different_flags(last: &Cursor, request: &CrawlRequest) -> String {
    let was = last.parameters.since.as_ref().map(|since| since.flags.clone());
    let is = request.since.map(|start| start.flags());
    format!(
        "run {} of {} was interrupted and had other flags: {}. Use the same flags to resume it, or --restart to \
         discard it and start run {}",
        last.run,
        last.region,
        difference::describe((&last.parameters, was), (&request.parameters, is)),
        last.run.saturating_add(1),
    )
}

impl Plan {
    /// The cursor that claims the region for the producer with this instance id.
    ///
    /// # Errors
    /// [`Stop::Guard`] if a topic has fewer partitions than the interrupted run has written to. Then it was
    /// recreated, and what the run published is gone.
    pub(crate) fn into_cursor(
        self,
        request: &CrawlRequest,
        instance_id: &str,
        partitions: &BTreeMap<RecordType, i32>,
    ) -> Result<Cursor, Stop> {
        let instance_id = instance_id.to_owned();
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
                Ok(Cursor { instance_id, stopped: None, ..*cursor })
            }
            Self::Start { run, parameters, previous_ended, previous } => {
                let new = new_cursor(request.region, *parameters, run, partitions);
                let new = Cursor { instance_id, previous_ended, ..new };
                Ok(match previous {
                    Some(previous) => following(new, *previous),
                    None => new,
                })
            }
        }
    }
}

/// The cursor of a new run, with what it takes over from the one before it.
fn following(new: Cursor, previous: Cursor) -> Cursor {
    let history = previous.history_with_own();
    let Cursor { complete_since, domains_complete_since, full_crawls, .. } = previous;
    Cursor { complete_since, domains_complete_since, full_crawls, history, ..new }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use catalog_shared::cursor::{HISTORY, Mode, PastState, Since};
    use catalog_shared::region::Region;
    use time::OffsetDateTime;

    use super::*;
    use crate::run::lifecycle::ended;
    use crate::run::start::Start;

    fn requested(kinds: &[RecordType], restart: bool) -> CrawlRequest {
        let api_url = "http://127.0.0.1/api/catalog/v1".into();
        let parameters = RunParameters { kinds: kinds.to_vec(), api_url, ..RunParameters::full() };
        CrawlRequest { region: Region::Us, parameters, since: None, full_since: None, restart, first_run: 1 }
    }

    fn partitions() -> BTreeMap<RecordType, i32> {
        BTreeMap::from([(RecordType::Datasets, 3), (RecordType::Domains, 1)])
    }

    fn crawling(run: u32) -> Cursor {
        let parameters = requested(&RecordType::ALL, false).parameters;
        Cursor { previous_ended: Some(run - 2), ..new_cursor(Region::Us, parameters, run, &partitions()) }
    }

    #[test]
    fn a_region_without_a_cursor_starts_at_the_given_run() {
        let request = CrawlRequest { first_run: 40, ..requested(&RecordType::ALL, false) };
        assert!(matches!(plan(&request, None), Ok(Plan::Start { run: 40, .. })));
    }

    #[test]
    fn an_interrupted_run_is_resumed_by_a_new_producer() {
        let resumed = plan(&requested(&RecordType::ALL, false), Some(crawling(7))).unwrap();
        let cursor = resumed.into_cursor(&requested(&RecordType::ALL, false), "me", &partitions()).unwrap();
        assert_eq!((cursor.run, cursor.instance_id.as_str()), (7, "me"));
    }

    #[test]
    fn an_ended_run_is_followed_and_a_restarted_one_is_abandoned() {
        let followed =
            plan(&requested(&RecordType::ALL, false), Some(ended(&crawling(7), OffsetDateTime::now_utc())))
                .unwrap();
        let cursor =
            |plan: Plan| plan.into_cursor(&requested(&RecordType::ALL, false), "me", &partitions()).unwrap();
        let followed = cursor(followed);
        assert_eq!((followed.run, followed.previous_ended), (8, Some(7)));
        assert!(followed.complete_since.is_some());
        let passed = plan(&requested(&RecordType::ALL, true), Some(crawling(7))).unwrap();
        let passed = cursor(passed);
        assert_eq!((passed.run, passed.previous_ended, passed.complete_since), (8, Some(5), None));
    }

    #[test]
    fn a_run_starts_with_the_history_of_the_runs_before_it() {
        let begun = |last| match plan(&requested(&RecordType::ALL, true), Some(last)) {
            Ok(Plan::Start { previous: Some(previous), .. }) => previous.history_with_own(),
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
        assert!(
            matches!(error.downcast_ref(), Some(Stop::Usage(text)) if text.contains("--restart")),
            "{error}"
        );
    }

    #[test]
    fn recreated_topics_are_refused() {
        let resumed = plan(&requested(&RecordType::ALL, false), Some(crawling(7))).unwrap();
        let fewer = BTreeMap::from([(RecordType::Datasets, 2), (RecordType::Domains, 1)]);
        assert!(matches!(
            resumed.into_cursor(&requested(&RecordType::ALL, false), "me", &fewer),
            Err(Stop::Guard(_))
        ));
    }

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    fn since(start: Start) -> CrawlRequest {
        let full = requested(&RecordType::ALL, false);
        CrawlRequest {
            parameters: RunParameters { mode: Mode::Since, ..full.parameters },
            since: Some(start),
            ..full
        }
    }

    const fn auto(overlap: u64) -> Start {
        Start::Auto { overlap: Duration::from_secs(overlap) }
    }

    const AUTO: Start = auto(100);

    fn begun(request: &CrawlRequest, last: Option<Cursor>) -> Cursor {
        plan(request, last).unwrap().into_cursor(request, "me", &partitions()).unwrap()
    }

    #[test]
    fn auto_is_resumed_with_the_time_of_the_first_start() {
        let last = Cursor { complete_since: Some(at(1_000)), ..crawling(7) };
        let begun = begun(&since(AUTO), Some(Cursor { state: RunState::Ended, ..last }));
        assert_eq!(begun.parameters.since, Some(Since { flags: AUTO.flags(), from: at(900) }));

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
        RunParameters { mode: Mode::Part, limit: Some(5), ..requested(&RecordType::ALL, false).parameters }
    }

    #[test]
    fn auto_needs_a_complete_run() {
        for last in [None, Some(ended(&Cursor { parameters: part(), ..crawling(7) }, at(0)))] {
            let error = plan(&since(AUTO), last).unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(Stop::Usage(_))), "{error}");
        }
    }
}
