//! Which run to crawl: the one that was interrupted, or the next.

use std::collections::BTreeMap;

use catalog_shared::cursor::{Cursor, Interval, Mode, PartitionCounts, PastRun, RunState, Shape};
use catalog_shared::exit::Stop;
use catalog_shared::record::{Kind, SCHEMA};
use catalog_shared::region::Region;
use time::OffsetDateTime;

/// What the command line asks for.
pub(crate) struct Asked {
    pub(crate) region: Region,
    pub(crate) shape: Shape,
    pub(crate) restart: bool,
    pub(crate) first_run: u32,
}

/// Whether to go on with a run or to begin the next one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Resume(Box<Cursor>),
    Begin {
        run: u32,
        previous_ended: Option<u32>,
        complete_since: Option<OffsetDateTime>,
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
        let history = Vec::new();
        return Ok(Plan::Begin { run: asked.first_run, previous_ended, complete_since: None, history });
    };
    if last.schema > SCHEMA {
        let found = last.schema;
        return Err(Stop::Guard(format!(
            "the cursor of {} has schema {found}, and this build reads up to {SCHEMA}: upgrade the producer",
            asked.region
        )));
    }
    if last.state == RunState::Ended {
        return Ok(begin_after(&last, Some(last.run)));
    }
    if asked.restart {
        return Ok(begin_after(&last, last.previous_ended));
    }
    if last.shape != asked.shape {
        return Err(Stop::Usage(differs(&last, &asked.shape)));
    }
    Ok(Plan::Resume(Box::new(last)))
}

fn begin_after(last: &Cursor, previous_ended: Option<u32>) -> Plan {
    let (complete_since, history) = (last.complete_since, last.history_with_own());
    Plan::Begin { run: last.run.saturating_add(1), previous_ended, complete_since, history }
}

fn differs(last: &Cursor, asked: &Shape) -> String {
    let text = |shape: &Shape| serde_json::to_string(shape).unwrap_or_default();
    format!(
        "run {} of {} was interrupted and was begun with other flags: {} and not {}. Use the same flags to \
         resume it, or --restart to give it up and begin run {}",
        last.run,
        last.region,
        text(&last.shape),
        text(asked),
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
                Ok(Cursor { owner, ..*cursor })
            }
            Self::Begin { run, previous_ended, complete_since, history } => {
                let fresh = fresh(asked, run, partitions);
                Ok(Cursor { owner, previous_ended, complete_since, history, ..fresh })
            }
        }
    }
}

fn fresh(asked: &Asked, run: u32, partitions: &BTreeMap<Kind, i32>) -> Cursor {
    let of_run = |kind: &Kind| partitions.get(kind).map(|count| (*kind, *count));
    let partitions: BTreeMap<Kind, i32> = asked.shape.kinds.iter().filter_map(of_run).collect();
    let zeros = |count: &i32| vec![0; usize::try_from(*count).unwrap_or_default()];
    let published: PartitionCounts = partitions.iter().map(|(kind, count)| (*kind, zeros(count))).collect();
    Cursor {
        schema: SCHEMA,
        region: asked.region,
        owner: String::new(),
        run,
        state: RunState::Crawling,
        shape: asked.shape.clone(),
        started_at: OffsetDateTime::now_utc(),
        ended_at: None,
        previous_ended: None,
        next_page: 0,
        pending: vec![Interval::whole()],
        max_id: None,
        objects: 0,
        partitions,
        published,
        unkeyed: 0,
        skipped: 0,
        declared: BTreeMap::new(),
        seen: BTreeMap::new(),
        complete_since: None,
        history: Vec::new(),
    }
}

/// The cursor of a run that has published everything.
pub(crate) fn ended(cursor: &Cursor, ended_at: OffsetDateTime) -> Cursor {
    let saw_all_changes = cursor.shape.mode != Mode::Part && cursor.shape.kinds.contains(&Kind::Datasets);
    let complete_since = if saw_all_changes { Some(cursor.started_at) } else { cursor.complete_since };
    Cursor { state: RunState::Ended, ended_at: Some(ended_at), complete_since, ..cursor.clone() }
}

#[cfg(test)]
mod tests {
    use catalog_shared::cursor::{HISTORY, PastState};

    use super::*;

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
        Asked { region: Region::Us, shape, restart, first_run: 1 }
    }

    fn partitions() -> BTreeMap<Kind, i32> {
        BTreeMap::from([(Kind::Datasets, 3), (Kind::Domains, 1)])
    }

    fn crawling(run: u32) -> Cursor {
        Cursor { previous_ended: Some(run - 2), ..fresh(&asked(&Kind::ALL, false), run, &partitions()) }
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
}
