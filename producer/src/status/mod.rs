//! `status`: where each region's producer stands and what its last runs were, from the cursors alone. It
//! claims nothing, so it disturbs no crawl.

use anyhow::Context;
use catalog_shared::answer;
use catalog_shared::cursor::{Cursor, Interval, Mode, PastRun, PastState, RunState, Stopped};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::outage;
use catalog_shared::record::Kind;
use catalog_shared::region::Region;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use crate::config::StatusArgs;
use crate::model::idspace;
use crate::report::missed::Missed;
use catalog_shared::cursors::{self, PATIENCE, Written};

mod text;

/// Prints where the regions stand.
///
/// # Errors
/// When Kafka can't be reached or a cursor can't be read.
pub(crate) async fn run(args: &StatusArgs) -> anyhow::Result<()> {
    outage::reach(&args.kafka).await?;
    let topics = args.kafka.topics();
    let regions = args.region.map_or_else(|| Region::ALL.to_vec(), |region| vec![region]);
    let topic = topics.cursors();
    let there = exists(&args.kafka, topic.clone()).await?;
    let mut told = Vec::new();
    for region in regions {
        let written = if there { cursors::read_written(&args.kafka, &topics, region).await? } else { None };
        told.push(standing(region, written, OffsetDateTime::now_utc()));
    }
    Status { topic, topic_exists: there, regions: told }.print(args.json)
}

async fn exists(kafka: &KafkaArgs, topic: String) -> anyhow::Result<bool> {
    let config = kafka.client_config(&[("group.id", "catalog-producer")])?;
    let ask = move || -> anyhow::Result<bool> {
        let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
        // Of all topics: to ask for one by name would make it, where the broker is set up so.
        let metadata = client.fetch_metadata(None, PATIENCE).context("Kafka can't be reached")?;
        Ok(metadata.topics().iter().any(|found| found.name() == topic))
    };
    spawn_blocking(ask).await?
}

/// The answer of the command.
#[derive(Serialize)]
struct Status {
    topic: String,
    topic_exists: bool,
    regions: Vec<Standing>,
}

/// Where a region stands.
#[derive(Serialize)]
struct Standing {
    region: Region,
    /// None before its first run.
    cursor: Option<Place>,
    /// The newest first.
    runs: Vec<Run>,
}

/// How far the last run has come.
#[derive(Serialize)]
struct Place {
    owner: String,
    next_page: u32,
    pending: Vec<Interval>,
    /// The share of the id space that is covered, from 0 to 1.
    covered: f64,
    #[serde(with = "time::serde::rfc3339::option")]
    written_at: Option<OffsetDateTime>,
    age_seconds: Option<u64>,
    /// Why the run goes no further, where its process could say so.
    stopped: Option<Stopped>,
    /// What the last run could not read.
    missed: Missed,
}

#[derive(Serialize)]
struct Run {
    run: u32,
    mode: Mode,
    kinds: Vec<Kind>,
    state: State,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    pages: u32,
    objects: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Its cursor was written lately.
    InProgress,
    /// Its process said that it stopped, or its cursor was not written for longer than [`SILENCE`].
    Interrupted,
    Ended,
    Abandoned,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::Interrupted => "interrupted",
            Self::Ended => "ended",
            Self::Abandoned => "abandoned",
        }
    }
}

/// From which age on an open run's cursor is that of a process that died. A crawl writes its cursor with each page, and
/// gives up after `--retry-for` without one (10 min unless asked otherwise).
const SILENCE: u64 = 15 * 60;

fn standing(region: Region, written: Option<Written>, now: OffsetDateTime) -> Standing {
    let Some(Written { cursor, at }) = written else {
        return Standing { region, cursor: None, runs: Vec::new() };
    };
    let place = Place {
        owner: cursor.owner.clone(),
        next_page: cursor.next_page,
        covered: 1.0 - idspace::share_open(&cursor.pending),
        pending: cursor.pending.clone(),
        written_at: at,
        age_seconds: at.map(|at| seconds(now - at)),
        stopped: cursor.stopped.clone(),
        missed: Missed::from(&cursor),
    };
    let runs = runs(&cursor, &place);
    Standing { region, cursor: Some(place), runs }
}

fn runs(cursor: &Cursor, place: &Place) -> Vec<Run> {
    let is_open = cursor.state == RunState::Crawling;
    let is_interrupted = place.stopped.is_some() || place.age_seconds > Some(SILENCE);
    let mut runs: Vec<Run> = cursor.history_with_own().into_iter().map(Run::from).collect();
    if let Some(last) = runs.first_mut().filter(|_| is_open) {
        last.state = if is_interrupted { State::Interrupted } else { State::InProgress };
    }
    runs
}

impl From<PastRun> for Run {
    fn from(past: PastRun) -> Self {
        let PastRun { run, mode, kinds, state, started_at, ended_at, pages, objects } = past;
        let state = match state {
            PastState::Ended => State::Ended,
            PastState::Abandoned => State::Abandoned,
        };
        Self { run, mode, kinds, state, started_at, ended_at, pages, objects }
    }
}

/// Clocks of different machines may differ: what lies in the future is now.
fn seconds(age: time::Duration) -> u64 {
    u64::try_from(age.whole_seconds()).unwrap_or_default()
}

impl Status {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(answer::print(json, self, self)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::Shape;

    use super::*;
    use crate::run::lifecycle;

    const HOUR: time::Duration = time::Duration::HOUR;

    fn open_run(at: Option<OffsetDateTime>, stopped: Option<Stopped>) -> Standing {
        let shape = Shape {
            mode: Mode::Full,
            kinds: Vec::new(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        let fresh = lifecycle::new_cursor(Region::Us, shape, 7, &BTreeMap::new());
        let cursor = Cursor { stopped, unkeyed: 2, unread_ids: vec!["aaaa-aaaa".into()], ..fresh };
        standing(Region::Us, Some(Written { cursor, at }), now())
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + HOUR * 100
    }

    #[test]
    fn a_cursors_age_is_told_and_one_from_the_future_is_of_now() {
        let told = |at| {
            let standing = open_run(at, None);
            (standing.cursor.as_ref().and_then(|place| place.age_seconds), standing.to_string())
        };
        let (age, text) = told(Some(now() - time::Duration::seconds(125)));
        assert_eq!(age, Some(125));
        assert!(text.contains("run 7 is in progress, last written 2 min 5 s ago"), "{text}");
        assert!(text.contains("\n  missed  1 with an id (aaaa-aaaa); 1 whose id"), "{text}");
        assert_eq!(told(Some(now() + time::Duration::seconds(5))).0, Some(0));
        let (age, text) = told(None);
        assert!(age.is_none() && text.contains("last written at an unknown time"), "{text}");
    }

    #[test]
    fn a_run_whose_cursor_is_old_or_that_says_so_is_interrupted() {
        let died = open_run(Some(now() - HOUR * 8), None);
        assert_eq!(died.runs[0].state, State::Interrupted);
        assert!(died.to_string().contains("run 7 was interrupted, last written 8 h ago."), "{died}");
        let stopped = Stopped { at: now(), error: Some("the API is down".into()) };
        let failed = open_run(Some(now()), Some(stopped));
        assert_eq!(failed.runs[0].state, State::Interrupted);
        assert!(failed.to_string().contains("  error   the API is down"), "{failed}");
    }

    #[test]
    fn the_table_fits_80_columns() {
        let standing = open_run(Some(now() - HOUR * 8), None);
        let run = Run {
            pages: 10_000,
            objects: 1_000_000,
            run: 10_000,
            ended_at: None,
            ..standing.runs.into_iter().next().unwrap()
        };
        let mut standing = Standing { runs: vec![run], ..open_run(None, None) };
        standing.cursor.iter_mut().for_each(|place| place.missed = Missed::default());
        let table = standing.to_string();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }
}
