//! Which run to crawl: the one that was interrupted, or the next.

use std::collections::BTreeMap;

use catalog_shared::cursor::{Cursor, DomainsComplete, PastRun, RunState, Shape};
use catalog_shared::exit::Stop;
use catalog_shared::record::{Kind, SCHEMA};
use catalog_shared::region::Region;
use time::OffsetDateTime;

use crate::config::scope::Start;
use crate::run::complete_since::complete_since;
use crate::run::difference;
use crate::run::lifecycle::fresh;

/// What the command line asks for.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) region: Region,
    /// All of the run's shape but where a since-run starts.
    pub(crate) shape: Shape,
    pub(crate) since: Option<Start>,
    pub(crate) restart: bool,
    pub(crate) first_run: u32,
}

/// Whether to go on with a run or to begin the next one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Resume(Box<Cursor>),
    Begin {
        run: u32,
        shape: Box<Shape>,
        previous_ended: Option<u32>,
        complete_since: Option<OffsetDateTime>,
        domains_complete_since: Vec<DomainsComplete>,
        history: Vec<PastRun>,
    },
}

/// Decides from the region's last cursor.
///
/// # Errors
/// [`Stop::Usage`] when an interrupted run had another shape; [`Stop::Guard`] when a newer build wrote
/// the cursor.
pub(crate) fn plan(asked: &Asked, last: Option<Cursor>) -> Result<Plan, Stop> {
    let Some(last) = last else {
        // A run that is not the first of all follows runs whose markers may still be on their way.
        let previous_ended = Some(asked.first_run - 1).filter(|run| *run > 0);
        let (shape, history) = (asked.new_shape(None)?, Vec::new());
        return Ok(Plan::Begin {
            run: asked.first_run,
            shape,
            previous_ended,
            complete_since: None,
            domains_complete_since: Vec::new(),
            history,
        });
    };
    if last.schema > SCHEMA {
        let found = last.schema;
        return Err(Stop::Guard(format!(
            "the cursor of {} has schema {found}, and this build reads up to {SCHEMA}: upgrade the producer",
            asked.region
        )));
    }
    if last.state == RunState::Ended {
        return begin_after(asked, &last, Some(last.run));
    }
    if asked.restart {
        return begin_after(asked, &last, last.previous_ended);
    }
    if !asked.is_for(&last.shape) {
        return Err(Stop::Usage(differs(&last, asked)));
    }
    Ok(Plan::Resume(Box::new(last)))
}

fn begin_after(asked: &Asked, last: &Cursor, previous_ended: Option<u32>) -> Result<Plan, Stop> {
    let (complete_since, history) = (last.complete_since, last.history_with_own());
    let domains_complete_since = last.domains_complete_since.clone();
    let shape = asked.new_shape(Some(last))?;
    // A number that was asked for counts where it is not too low: after a loss of cursors, say.
    let run = last.run.saturating_add(1).max(asked.first_run);
    Ok(Plan::Begin { run, shape, previous_ended, complete_since, domains_complete_since, history })
}

impl Asked {
    /// The shape of a new run behind the last one.
    fn new_shape(&self, last: Option<&Cursor>) -> Result<Box<Shape>, Stop> {
        let domains = &self.shape.domains;
        let complete_since = last.and_then(|last| complete_since(last, domains));
        let since = self.since.map(|start| start.since(complete_since, domains)).transpose()?;
        Ok(Box::new(Shape { since, ..self.shape.clone() }))
    }

    /// Whether a run of this shape is meant. The time that `auto` stood for is the run's own.
    fn is_for(&self, shape: &Shape) -> bool {
        let since = shape.since.as_ref().map(|since| since.asked.clone());
        since == self.since.map(|start| start.asked()) && Shape { since: None, ..shape.clone() } == self.shape
    }
}

fn differs(last: &Cursor, asked: &Asked) -> String {
    let was = last.shape.since.as_ref().map(|since| since.asked.clone());
    let is = asked.since.map(|start| start.asked());
    format!(
        "run {} of {} was interrupted and was begun with other flags: {}. Use the same flags to resume it, or \
         --restart to give it up and begin run {}",
        last.run,
        last.region,
        difference::named((&last.shape, was), (&asked.shape, is)),
        last.run.saturating_add(1),
    )
}

impl Plan {
    /// The cursor that claims the region for `owner`.
    ///
    /// # Errors
    /// [`Stop::Guard`] when a topic has fewer partitions than the interrupted run has written to: it was
    /// made anew, and what the run published is gone.
    pub(crate) fn claim(
        self,
        asked: &Asked,
        owner: &str,
        partitions: &BTreeMap<Kind, i32>,
    ) -> Result<Cursor, Stop> {
        let owner = owner.to_owned();
        match self {
            Self::Resume(cursor) => {
                let shrunk = |(kind, count): (&Kind, &i32)| partitions.get(kind) < Some(count);
                if cursor.partitions.iter().any(shrunk) {
                    return Err(Stop::Guard(format!(
                        "run {} was begun on topics with more partitions than there are now: they were made \
                         anew. Use --restart to crawl again",
                        cursor.run
                    )));
                }
                Ok(Cursor { owner, stopped: None, ..*cursor })
            }
            Self::Begin { run, shape, previous_ended, complete_since, domains_complete_since, history } => {
                let fresh = fresh(asked.region, *shape, run, partitions);
                Ok(Cursor { owner, previous_ended, complete_since, domains_complete_since, history, ..fresh })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use catalog_shared::cursor::{HISTORY, Mode, PastState, Since};

    use super::*;
    use crate::run::lifecycle::ended;

    fn asked(kinds: &[Kind], restart: bool) -> Asked {
        let shape = Shape {
            mode: Mode::Full,
            kinds: kinds.to_vec(),
            api_url: "http://127.0.0.1/api/catalog/v1".into(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        Asked { region: Region::Us, shape, since: None, restart, first_run: 1 }
    }

    fn partitions() -> BTreeMap<Kind, i32> {
        BTreeMap::from([(Kind::Datasets, 3), (Kind::Domains, 1)])
    }

    fn crawling(run: u32) -> Cursor {
        let shape = asked(&Kind::ALL, false).shape;
        Cursor { previous_ended: Some(run - 2), ..fresh(Region::Us, shape, run, &partitions()) }
    }

    #[test]
    fn a_region_without_a_cursor_begins_where_it_is_told() {
        let asked = Asked { first_run: 40, ..asked(&Kind::ALL, false) };
        assert!(matches!(plan(&asked, None), Ok(Plan::Begin { run: 40, .. })));
    }

    #[test]
    fn an_interrupted_run_is_resumed_by_a_new_owner() {
        let resumed = plan(&asked(&Kind::ALL, false), Some(crawling(7))).unwrap();
        let cursor = resumed.claim(&asked(&Kind::ALL, false), "me", &partitions()).unwrap();
        assert_eq!((cursor.run, cursor.owner.as_str()), (7, "me"));
    }

    #[test]
    fn an_ended_run_is_followed_and_a_restarted_one_is_passed_over() {
        let followed =
            plan(&asked(&Kind::ALL, false), Some(ended(&crawling(7), OffsetDateTime::now_utc()))).unwrap();
        assert!(matches!(
            followed,
            Plan::Begin { run: 8, previous_ended: Some(7), complete_since: Some(_), .. }
        ));
        let passed = plan(&asked(&Kind::ALL, true), Some(crawling(7))).unwrap();
        assert!(matches!(passed, Plan::Begin { run: 8, previous_ended: Some(5), complete_since: None, .. }));
    }

    #[test]
    fn a_run_begins_with_the_history_of_those_before_it() {
        let begun = |last| match plan(&asked(&Kind::ALL, true), Some(last)) {
            Ok(Plan::Begin { history, .. }) => history,
            other => panic!("{other:?}"),
        };
        let mut last = ended(&crawling(7), OffsetDateTime::now_utc());
        for run in 8..=20 {
            last = Cursor { history: begun(last), ..crawling(run) };
        }
        let told: Vec<_> = last.history.iter().map(|past| (past.run, past.state)).collect();
        assert_eq!(
            (told.len(), told[0], told[9]),
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
        let error = plan(&asked(&[Kind::Domains], false), Some(crawling(7))).unwrap_err();
        assert!(matches!(&error, Stop::Usage(text) if text.contains("--restart")), "{error}");
    }

    #[test]
    fn topics_made_anew_are_refused() {
        let resumed = plan(&asked(&Kind::ALL, false), Some(crawling(7))).unwrap();
        let fewer = BTreeMap::from([(Kind::Datasets, 2), (Kind::Domains, 1)]);
        assert!(matches!(resumed.claim(&asked(&Kind::ALL, false), "me", &fewer), Err(Stop::Guard(_))));
    }

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    fn since(start: Start) -> Asked {
        let full = asked(&Kind::ALL, false);
        Asked { shape: Shape { mode: Mode::Since, ..full.shape }, since: Some(start), ..full }
    }

    const fn auto(overlap: u64) -> Start {
        Start::Auto { overlap: Duration::from_secs(overlap) }
    }

    const AUTO: Start = auto(100);

    fn begun(asked: &Asked, last: Option<Cursor>) -> Cursor {
        plan(asked, last).unwrap().claim(asked, "me", &partitions()).unwrap()
    }

    #[test]
    fn auto_is_resumed_with_the_time_that_it_meant_at_the_beginning() {
        let last = Cursor { complete_since: Some(at(1_000)), ..crawling(7) };
        let begun = begun(&since(AUTO), Some(Cursor { state: RunState::Ended, ..last }));
        assert_eq!(begun.shape.since, Some(Since { asked: AUTO.asked(), from: at(900) }));

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

    fn part() -> Shape {
        Shape { mode: Mode::Part, limit: Some(5), ..asked(&Kind::ALL, false).shape }
    }

    #[test]
    fn auto_needs_a_run_that_saw_everything() {
        for last in [None, Some(ended(&Cursor { shape: part(), ..crawling(7) }, at(0)))] {
            assert!(matches!(plan(&since(AUTO), last), Err(Stop::Usage(_))));
        }
    }
}
