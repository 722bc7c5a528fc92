//! `status`: where each region's producer stands and what its last runs were, from the cursors alone. It
//! claims nothing, so it disturbs no crawl.

use std::fmt::{self, Display, Write};

use anyhow::Context;
use catalog_shared::answer;
use catalog_shared::cursor::{Cursor, Interval, Mode, PastRun, PastState, RunState};
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::outage;
use catalog_shared::record::Kind;
use catalog_shared::region::Region;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::task::spawn_blocking;

use crate::cli::StatusArgs;
use crate::crawl::idspace;
use crate::report::human;
use crate::report::missed::Missed;
use catalog_shared::cursors::{self, PATIENCE, Written};

/// Prints where the regions stand.
///
/// # Errors
/// When Kafka can't be reached or a cursor can't be read.
pub async fn run(args: &StatusArgs) -> anyhow::Result<()> {
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

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Crawled now, or interrupted: the cursor's age tells which.
    Crawling,
    Ended,
    Abandoned,
}

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
        missed: Missed::from(&cursor),
    };
    Standing { region, cursor: Some(place), runs: runs(&cursor) }
}

fn runs(cursor: &Cursor) -> Vec<Run> {
    let crawling = cursor.state == RunState::Crawling;
    let mut runs: Vec<Run> = cursor.history_with_own().into_iter().map(Run::from).collect();
    if let Some(last) = runs.first_mut().filter(|_| crawling) {
        last.state = State::Crawling;
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

impl Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.topic_exists {
            return write!(f, "Nothing has been crawled: there is no topic {}.", self.topic);
        }
        for (index, region) in self.regions.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n\n" })?;
            write!(f, "{region}")?;
        }
        Ok(())
    }
}

impl Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(place), Some(last)) = (&self.cursor, self.runs.first()) else {
            return write!(f, "Region {}: no run yet.", self.region);
        };
        let age = place
            .age_seconds
            .map_or_else(|| "at an unknown time".to_owned(), |age| format!("{} ago", human::span(age)));
        match last.state {
            State::Crawling => {
                let covered = place.covered * 100.0;
                writeln!(f, "Region {}: run {} is not ended.", self.region, last.run)?;
                writeln!(
                    f,
                    "  cursor  page {}, {covered:.1} % of the ids covered, written {age}",
                    place.next_page
                )?;
                writeln!(f, "  owner   {}", place.owner)?;
            }
            _ => writeln!(f, "Region {}: run {} ended, {age}.", self.region, last.run)?,
        }
        if !place.missed.is_nothing() {
            writeln!(f, "  missed  {}", place.missed)?;
        }
        write!(
            f,
            "  {:>5}  {:5}  {:9}  {:20}  {:>10}  {:>6}  {:>9}",
            "run", "mode", "state", "began", "took", "pages", "objects"
        )?;
        self.runs.iter().try_for_each(|run| write!(f, "\n  {run}"))
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let began =
            self.started_at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z"));
        let took =
            self.ended_at.map(|ended| human::span(seconds(ended - self.started_at))).unwrap_or_default();
        let state = match self.state {
            State::Crawling => "crawling",
            State::Ended => "ended",
            State::Abandoned => "abandoned",
        };
        let mut line = String::new();
        write!(line, "{:>5}  {:5}  {state:9}  ", self.run, self.mode.name())?;
        write!(line, "{:20}  {took:>10}  ", began.unwrap_or_default())?;
        write!(line, "{:>6}  {:>9}", self.pages, self.objects)?;
        if !self.kinds.contains(&Kind::Datasets) {
            line.push_str("  without datasets");
        }
        f.write_str(&line)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::Shape;

    use super::*;
    use crate::crawl::run;

    #[test]
    fn a_cursors_age_is_told_and_one_from_the_future_is_of_now() {
        let shape = Shape {
            mode: Mode::Full,
            kinds: Vec::new(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1);
        let told = |at| {
            let fresh = run::fresh(Region::Us, shape.clone(), 7, &BTreeMap::new());
            let cursor = Cursor { unkeyed: 2, unread_ids: vec!["aaaa-aaaa".into()], ..fresh };
            let standing = standing(Region::Us, Some(Written { cursor, at }), now);
            (standing.cursor.as_ref().and_then(|place| place.age_seconds), standing.to_string())
        };
        let (age, text) = told(Some(now - time::Duration::seconds(125)));
        assert_eq!(age, Some(125));
        assert!(text.contains("written 2 min 5 s ago"), "{text}");
        assert!(text.contains("\n  missed  1 with an id (aaaa-aaaa); 1 whose id"), "{text}");
        assert_eq!(told(Some(now + time::Duration::seconds(5))).0, Some(0));
        let (age, text) = told(None);
        assert!(age.is_none() && text.contains("written at an unknown time"), "{text}");
    }
}
