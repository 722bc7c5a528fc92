//! `status`: the progress and the last runs of each region, read from the cursors. It claims nothing, so it does not
//! disturb a crawl.

use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::cursor::{Cursor, Interval, Mode, PastRun, PastState, RunState, Stopped};
use catalog_shared::cursor_reader::{self, StoredCursor};
use catalog_shared::exit::Stop;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::outage;
use catalog_shared::output;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::shutdown::CancellationToken;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use crate::config::StatusArgs;
use crate::model::idspace;
use crate::report::missed::MissedReport;

mod text;

/// How long Kafka may take to list its topics.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// Prints the state of the regions.
///
/// # Errors
/// If Kafka is unreachable or a cursor can't be read, and after a signal.
pub(crate) async fn run(args: &StatusArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let Some(status) = shutdown.run_until_cancelled(read(args)).await else {
        bail!(Stop::Interrupted("the cursors were not read".to_owned()));
    };
    status?.print(args.json)
}

async fn read(args: &StatusArgs) -> anyhow::Result<Status> {
    outage::reach(&args.kafka).await?;
    let topics = args.kafka.topics();
    let regions = args.region.map_or_else(|| Region::ALL.to_vec(), |region| vec![region]);
    let topic = topics.cursors();
    let topic_exists = exists(&args.kafka, topic.clone()).await?;
    let mut states = Vec::new();
    for region in regions {
        let stored = if topic_exists {
            cursor_reader::read_stored_if_exists(&args.kafka, &topics, region).await?
        } else {
            None
        };
        states.push(region_state(region, stored, OffsetDateTime::now_utc()));
    }
    Ok(Status { topic, topic_exists, regions: states })
}

async fn exists(kafka: &KafkaArgs, topic: String) -> anyhow::Result<bool> {
    let config = kafka.reader_config(&[])?;
    let query = move || -> anyhow::Result<bool> {
        let client: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default())?;
        // For all topics, because a request for one topic may create it, depending on the broker's configuration.
        let metadata = client.fetch_metadata(None, METADATA_TIMEOUT).context("Kafka is unreachable")?;
        Ok(metadata.topics().iter().any(|found| found.name() == topic))
    };
    spawn_blocking(query).await?
}

/// The output of the command.
#[derive(Serialize)]
struct Status {
    topic: String,
    topic_exists: bool,
    regions: Vec<RegionState>,
}

/// The state of a region.
#[derive(Serialize)]
struct RegionState {
    region: Region,
    /// `None` before its first run.
    cursor: Option<Progress>,
    /// Newest first.
    runs: Vec<Run>,
}

/// The progress of the last run.
#[derive(Serialize)]
struct Progress {
    #[serde(rename = "owner")]
    instance_id: String,
    next_page: u32,
    pending: Vec<Interval>,
    /// The share of the id space that is covered, from 0 to 1.
    covered: f64,
    #[serde(with = "time::serde::rfc3339::option")]
    written_at: Option<OffsetDateTime>,
    age_seconds: Option<u64>,
    /// Why the crawl stopped, if its process could record it.
    stopped: Option<Stopped>,
    /// What the run could not read.
    missed: MissedReport,
}

#[derive(Serialize)]
struct Run {
    run: u32,
    mode: Mode,
    kinds: Vec<RecordType>,
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
    /// Its cursor was written recently.
    InProgress,
    /// Its cursor is older than [`SILENT_AFTER`]. Its process was killed, or still waits for the API or Kafka. JSON has always
    /// called that `interrupted`; there `stopped` tells the two apart.
    #[serde(rename = "interrupted")]
    Silent,
    /// Its process recorded that it stopped.
    Interrupted,
    Ended,
    Abandoned,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::Silent => "no progress",
            Self::Interrupted => "interrupted",
            Self::Ended => "ended",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The age of a cursor in seconds from which on an open run counts as without progress. A crawl writes its cursor with each page,
/// and stops after `--retry-for` without one. That is 10 min by default but can be hours, so the process may still run.
const SILENT_AFTER: u64 = 15 * 60;

fn region_state(region: Region, stored: Option<StoredCursor>, now: OffsetDateTime) -> RegionState {
    let Some(StoredCursor { cursor, at }) = stored else {
        return RegionState { region, cursor: None, runs: Vec::new() };
    };
    let progress = Progress {
        instance_id: cursor.instance_id.clone(),
        next_page: cursor.next_page,
        covered: 1.0 - idspace::share_open(&cursor.pending),
        pending: cursor.pending.clone(),
        written_at: at,
        age_seconds: at.map(|at| seconds(now - at)),
        stopped: cursor.stopped.clone(),
        missed: MissedReport::from(&cursor.missed),
    };
    let runs = runs(&cursor, &progress);
    RegionState { region, cursor: Some(progress), runs }
}

fn runs(cursor: &Cursor, progress: &Progress) -> Vec<Run> {
    let is_open = cursor.state == RunState::Crawling;
    let mut runs: Vec<Run> = cursor.history_with_own().into_iter().map(Run::from).collect();
    if let Some(last) = runs.first_mut().filter(|_| is_open) {
        last.state = progress.open_state();
    }
    runs
}

impl Progress {
    /// The state of a run that has not ended.
    fn open_state(&self) -> State {
        match (&self.stopped, self.age_seconds) {
            (Some(_), _) => State::Interrupted,
            (None, Some(SILENT_AFTER..)) => State::Silent,
            (None, _) => State::InProgress,
        }
    }
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

/// Clocks may differ, so a time in the future counts as now.
fn seconds(age: time::Duration) -> u64 {
    u64::try_from(age.whole_seconds()).unwrap_or_default()
}

impl Status {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(output::print(json, self, self)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::RunParameters;
    use catalog_shared::missed::Missed;

    use super::*;
    use crate::run::lifecycle;

    const HOUR: time::Duration = time::Duration::HOUR;

    fn open_run(at: Option<OffsetDateTime>, stopped: Option<Stopped>) -> RegionState {
        let parameters = RunParameters { kinds: Vec::new(), ..RunParameters::full() };
        let fresh = lifecycle::new_cursor(Region::Us, parameters, 7, &BTreeMap::new());
        let unread_ids = vec!["aaaa-aaaa".into()];
        let missed = Missed { unkeyed: 2, unread_ids, ..Missed::default() };
        let cursor = Cursor { stopped, missed, ..fresh };
        region_state(Region::Us, Some(StoredCursor { cursor, at }), now())
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + HOUR * 100
    }

    #[test]
    fn a_cursors_age_is_shown_and_never_negative() {
        let shown = |at| {
            let state = open_run(at, None);
            (state.cursor.as_ref().and_then(|progress| progress.age_seconds), state.to_string())
        };
        let (age, text) = shown(Some(now() - time::Duration::seconds(125)));
        assert_eq!(age, Some(125));
        assert!(text.contains("run 7 is in progress, last written 2 min 5 s ago"), "{text}");
        assert!(text.contains("\n  missed  1 with an id (aaaa-aaaa); 1 with unknown id"), "{text}");
        assert_eq!(shown(Some(now() + time::Duration::seconds(5))).0, Some(0));
        let (age, text) = shown(None);
        assert!(age.is_none() && text.contains("last written at an unknown time"), "{text}");
    }

    #[test]
    fn a_run_with_an_old_cursor_may_still_be_running() {
        let silent = open_run(Some(now() - HOUR * 8), None);
        assert_eq!(silent.runs[0].state, State::Silent);
        let first = silent.to_string().lines().next().map(str::to_owned).unwrap();
        assert_eq!(first, "Region us: run 7 has made no progress for 8 h (running or interrupted).");
        assert_eq!(serde_json::to_value(&silent).unwrap()["runs"][0]["state"], "interrupted");
    }

    #[test]
    fn a_run_with_a_recorded_stop_is_interrupted() {
        let stopped = Stopped { at: now(), error: Some("the API is down".into()) };
        let failed = open_run(Some(now()), Some(stopped));
        assert_eq!(failed.runs[0].state, State::Interrupted);
        assert!(failed.to_string().contains("  error   the API is down"), "{failed}");
    }

    #[test]
    fn the_table_fits_80_columns() {
        let state = open_run(Some(now() - HOUR * 8), None);
        let run = Run {
            pages: 10_000,
            objects: 1_000_000,
            run: 10_000,
            ended_at: None,
            ..state.runs.into_iter().next().unwrap()
        };
        let mut state = RegionState { runs: vec![run], ..open_run(None, None) };
        state.cursor.iter_mut().for_each(|progress| progress.missed = MissedReport::default());
        let table = state.to_string();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }
}
