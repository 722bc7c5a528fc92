//! `runs`: what became of the runs, and the decision on those that are held.

use std::collections::BTreeSet;
use std::fmt;

use catalog_shared::answer;
use catalog_shared::region::Region;
use catalog_shared::verdict::Decision;
use serde::Serialize;
use sqlx::FromRow;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::books::decisions::{self, Change};
use crate::books::verdict_log::VerdictLog;
use crate::books::verdicts::RunId;
use crate::cli::{DecideArgs, ListArgs, RunsCommand};
use crate::database;

/// Lists runs, or decides one.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Usage`] for a run that is not held, or what the database said. That Kafka is away is none: the
/// decision is published later then.
pub async fn run(command: RunsCommand) -> anyhow::Result<()> {
    match command {
        RunsCommand::List(args) => list(&args).await,
        RunsCommand::Release(args) => decide(&args, Change::Release(BTreeSet::new())).await,
        RunsCommand::Reject(args) => decide(&args, Change::Reject).await,
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    let runs: Vec<Run> = sqlx::query_as(include_str!("../sql/books/list_runs.sql"))
        .bind(args.region.map(Region::name))
        .fetch_all(&pool)
        .await?;
    Ok(answer::print(args.json, &runs, Table(&runs))?)
}

async fn decide(args: &DecideArgs, change: Change) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    let id = RunId { region: args.region, run: args.run };
    let retired = decisions::decide(&pool, id, &change, None).await?.retired;
    let published = VerdictLog::new(&args.kafka, &pool).publish_now().await;
    let state = if change == Change::Reject { Decision::Rejected } else { Decision::Released };
    let decided = Decided { region: id.region, run: id.run, state, retired, published };
    Ok(answer::print(args.json, &decided, &decided)?)
}

/// What a decision has done.
#[derive(Serialize)]
struct Decided {
    region: Region,
    run: u32,
    state: Decision,
    retired: i64,
    /// Whether the verdicts topic says so.
    published: bool,
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, run, state, retired, published } = self;
        write!(f, "Run {run} of {region} is {}: {retired} datasets were retired.", state.name())?;
        if !published {
            write!(f, "\nThe verdicts topic does not say so yet; a consumer that runs publishes it.")?;
        }
        Ok(())
    }
}

/// A run as the table `runs` has it.
#[derive(FromRow, Serialize)]
struct Run {
    region: String,
    run: i64,
    mode: Option<String>,
    kinds: Vec<String>,
    state: String,
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    published: Option<i64>,
    applied: Option<i64>,
    dead: Option<i64>,
    retired: Option<i64>,
}

/// Runs for people, the newest first in each region.
struct Table<'a>(&'a [Run]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "No run has arrived yet.");
        }
        writeln!(
            f,
            "{:6} {:>5} {:5} {:10} {:19} {:>9} {:>9} {:>6} {:>7}  reason",
            "region", "run", "mode", "state", "ended (UTC)", "published", "applied", "dead", "retired"
        )?;
        self.0.iter().try_for_each(|run| write_line(f, run))
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let count = |count: Option<i64>| count.map(|count| count.to_string()).unwrap_or_default();
    let Run { region, run: number, state, .. } = run;
    let line = format!(
        "{region:6} {number:>5} {:5} {state:10} {:19} {:>9} {:>9} {:>6} {:>7}  {}",
        run.mode.as_deref().unwrap_or_default(),
        run.ended_at.map(time_text).unwrap_or_default(),
        count(run.published),
        count(run.applied),
        count(run.dead),
        count(run.retired),
        run.reason.as_deref().unwrap_or_default()
    );
    writeln!(f, "{}", line.trim_end())
}

fn time_text(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    // Can't fail: the format holds nothing that a time could lack.
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}
