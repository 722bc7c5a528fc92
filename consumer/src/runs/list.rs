//! `runs list`.

use std::fmt;

use catalog_shared::answer;
use catalog_shared::region::Region;
use serde::Serialize;
use sqlx::FromRow;
use time::OffsetDateTime;
use time::macros::format_description;

use super::ListArgs;
use crate::database;

pub(super) async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    let runs: Vec<Run> = sqlx::query_as(include_str!("../../sql/books/list_runs.sql"))
        .bind(args.region.map(Region::name))
        .fetch_all(&pool)
        .await?;
    Ok(answer::print(args.json, &runs, Table(&runs))?)
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
    /// In how many domains it retires nothing.
    shielded: i64,
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
        remark(run)
    );
    writeln!(f, "{}", line.trim_end())
}

/// Why the run is in its state, or where to read what it keeps.
fn remark(run: &Run) -> String {
    match (&run.reason, run.shielded) {
        (Some(reason), _) => reason.clone(),
        (None, 0) => String::new(),
        (None, 1) => format!("1 domain is shielded: see `runs show {}`", run.run),
        (None, shielded) => format!("{shielded} domains are shielded: see `runs show {}`", run.run),
    }
}

pub(super) fn time_text(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    // Can't fail: the format holds nothing that a time could lack.
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}
