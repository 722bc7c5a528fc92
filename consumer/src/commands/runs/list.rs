//! `runs list`.

use std::fmt;

use catalog_shared::answer;
use catalog_shared::human::{self, counted};
use catalog_shared::region::Region;
use serde::Serialize;
use sqlx::FromRow;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::args::ListArgs;
use crate::store::database;

const MINUTE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
/// What stands before the reason, below the run's number.
const INDENT: &str = "             ";
/// How wide a line of a reason may be; with the indent 80 columns.
const WIDTH: usize = 80 - INDENT.len();

pub(super) async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    let runs: Vec<Run> = sqlx::query_as(include_str!("../../../sql/ledger/list_runs.sql"))
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

/// Runs for people, the newest first in each region, each with its reason below; 80 columns.
struct Table<'a>(&'a [Run]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "No run has arrived yet.");
        }
        writeln!(
            f,
            "{:6} {:>5} {:5} {:10} {:16} {:>9} {:>9} {:>5} {:>7}",
            "region", "run", "mode", "state", "ended (UTC)", "published", "applied", "dead", "retired"
        )?;
        self.0.iter().try_for_each(|run| write_line(f, run))
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let count = |number: Option<i64>| {
        number.map(|number| human::count(u64::try_from(number).unwrap_or_default())).unwrap_or_default()
    };
    let ended = run.ended_at.map(|ended| ended.to_offset(UtcOffset::UTC).format(MINUTE).unwrap_or_default());
    let Run { region, run: number, state, .. } = run;
    let line = format!(
        "{region:6} {number:>5} {:5} {state:10} {:16} {:>9} {:>9} {:>5} {:>7}",
        run.mode.as_deref().unwrap_or_default(),
        ended.unwrap_or_default(),
        count(run.published),
        count(run.applied),
        count(run.dead),
        count(run.retired)
    );
    writeln!(f, "{}", line.trim_end())?;
    wrapped(&remark(run)).iter().try_for_each(|line| writeln!(f, "{INDENT}{line}"))
}

/// A text in lines that fit below a run. A word that is longer than a line stays whole.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Why the run is in its state, or where to read what it keeps.
fn remark(run: &Run) -> String {
    match (&run.reason, run.shielded) {
        (Some(reason), _) => reason.clone(),
        (None, 0) => String::new(),
        (None, shielded) => {
            let shielded = counted(u64::try_from(shielded).unwrap_or_default(), "domain is", "domains are");
            format!("{shielded} shielded: see `runs show {}`", run.run)
        }
    }
}

pub(super) fn time_text(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    // Can't fail: the format holds nothing that a time could lack.
    time.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns() {
        let time = Some(OffsetDateTime::UNIX_EPOCH);
        let run = |reason: Option<String>, shielded| Run {
            region: "us".to_owned(),
            run: 10_000,
            mode: Some("since".to_owned()),
            kinds: Vec::new(),
            state: "superseded".to_owned(),
            reason,
            started_at: time,
            ended_at: time,
            published: Some(1_000_000),
            applied: Some(1_000_000),
            dead: Some(1_000),
            retired: Some(200_000),
            shielded,
        };
        let reason = "it would retire more datasets than it may ".repeat(4);
        let table = Table(&[run(Some(reason.clone()), 0), run(None, 1)]).to_string();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let words: Vec<&str> = table.split_whitespace().collect();
        let reason: Vec<&str> = reason.split_whitespace().collect();
        assert!(words.windows(reason.len()).any(|window| window == reason), "{table}");
        assert!(table.contains("1970-01-01 00:00 1,000,000 1,000,000 1,000 200,000\n"), "{table}");
        assert!(table.contains("  1 domain is shielded: see `runs show 10000`\n"), "{table}");
    }
}
