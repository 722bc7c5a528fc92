//! `runs list`: lists runs with their states.

use std::fmt;

use catalog_shared::human::{self, counted};
use catalog_shared::output;
use catalog_shared::region::Region;
use serde::Serialize;
use sqlx::FromRow;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::args::ListArgs;
use super::row::RunDetails;
use crate::store::database;

const MINUTE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
/// The indent of the reason below a run.
const INDENT: &str = "             ";
/// The width of a line of a reason, in columns. With the indent it is 80.
const WIDTH: usize = 80 - INDENT.len();

pub(super) async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let pool = database::open(&args.database, 1).await?;
    let runs: Vec<ListedRun> = sqlx::query_as(include_str!("../../../sql/ledger/list_runs.sql"))
        .bind(args.region.map(Region::name))
        .fetch_all(&pool)
        .await?;
    Ok(output::print(args.json, &runs, Table(&runs))?)
}

/// A row of the table `runs`.
#[derive(FromRow, Serialize)]
struct ListedRun {
    region: String,
    run: i64,
    kinds: Vec<String>,
    #[sqlx(flatten)]
    #[serde(flatten)]
    details: RunDetails,
    /// The number of domains that the run shields.
    shielded: i64,
}

/// The runs as text, newest first in each region, each with its reason below; 80 columns.
struct Table<'a>(&'a [ListedRun]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "There are no runs yet.");
        }
        writeln!(
            f,
            "{:6} {:>5} {:5} {:10} {:16} {:>9} {:>9} {:>5} {:>7}",
            "region", "run", "mode", "state", "ended (UTC)", "published", "applied", "dead", "retired"
        )?;
        self.0.iter().try_for_each(|run| write_line(f, run))
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, run: &ListedRun) -> fmt::Result {
    let count = |number: Option<i64>| {
        number.map(|number| human::count(u64::try_from(number).unwrap_or_default())).unwrap_or_default()
    };
    let RunDetails { mode, state, ended_at, published, applied, dead, retired, .. } = &run.details;
    let ended = ended_at.map(|ended| ended.to_offset(UtcOffset::UTC).format(MINUTE).unwrap_or_default());
    let ListedRun { region, run: number, .. } = run;
    let line = format!(
        "{region:6} {number:>5} {:5} {state:10} {:16} {:>9} {:>9} {:>5} {:>7}",
        mode.as_deref().unwrap_or_default(),
        ended.unwrap_or_default(),
        count(*published),
        count(*applied),
        count(*dead),
        count(*retired)
    );
    writeln!(f, "{}", line.trim_end())?;
    wrapped(&remark(run)).iter().try_for_each(|line| writeln!(f, "{INDENT}{line}"))
}

/// Wraps a text to lines that fit below a run. A word that is longer than a line stays whole.
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

/// The reason for the run's state, or a hint about its shields.
fn remark(run: &ListedRun) -> String {
    match (&run.details.reason, run.shielded) {
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
    // Can't fail: a time has every component of the format.
    time.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns() {
        let time = Some(OffsetDateTime::UNIX_EPOCH);
        let run = |reason: Option<String>, shielded| ListedRun {
            region: "us".to_owned(),
            run: 10_000,
            kinds: Vec::new(),
            details: RunDetails {
                mode: Some("since".to_owned()),
                state: "superseded".to_owned(),
                reason,
                started_at: time,
                ended_at: time,
                published: Some(1_000_000),
                applied: Some(1_000_000),
                dead: Some(1_000),
                retired: Some(200_000),
            },
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
