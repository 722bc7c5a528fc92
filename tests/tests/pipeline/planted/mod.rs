//! Plants the fifteen faults of docs/how-to/doctor.md one by one. A program names each within a minute, with a next command
//! that works as it is printed.

mod api;
mod clocks;
mod configuration;
mod database;
mod disk;
mod kafka;
mod kafka_rights;
mod logins;
mod runbook;
mod runs;
mod server;
mod stalled;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::Page;
use catalog_tests::world::Operator;
use serde_json::Value;

const PAGE: &str = "docs/how-to/doctor.md";
const FAULTS: [&str; 15] = [
    "broker down",
    "wrong password",
    "wrong right",
    "full disk",
    "held run",
    "dead letters",
    "stalled partition",
    "API 403",
    "API slow",
    "clock off",
    "schema old",
    "topic missing",
    "topic that deletes",
    "producer missing for a day",
    "pooler",
];

/// A fault is named within this time. The page promises it, so these tests assert a time.
const WITHIN: Duration = Duration::from_secs(60);

/// A row of the page: how a fault is named.
struct Fault {
    /// The command line, without `--json`.
    program: String,
    check: String,
    level: String,
    /// The next command, with `…` for names.
    next: String,
}

/// The cells of the page's table, row by row.
fn rows() -> Result<Vec<Vec<String>>> {
    let page = Page::read(PAGE)?;
    let (_, part) = page.text.split_once("\n## Fifteen faults\n").context("the page has the table")?;
    let (part, _) = part.split_once("\n## ").context("the table has an end")?;
    let rows = part.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |row: &str| row.split(" | ").map(|cell| cell.trim_matches('`').to_owned()).collect();
    Ok(rows.skip(2).map(cells).collect())
}

impl Fault {
    /// The fault of this name.
    fn named(name: &str) -> Result<Self> {
        let rows = rows()?;
        let row = rows.iter().find(|row| row[0] == name).with_context(|| format!("no fault {name}"))?;
        let [_, program, check, level, next] = &row[..] else { anyhow::bail!("{name} has five cells") };
        let [program, check, level, next] = [program, check, level, next].map(Clone::clone);
        Ok(Self { program, check, level, next })
    }

    /// Runs its program, and returns the finding, which must be about `subject`.
    async fn find(&self, operator: &Operator<'_>, subject: &str) -> Result<Value> {
        let found = find(operator, &self.program, &self.check, &self.level).await?;
        let text = found["found"].as_str().unwrap_or_default();
        ensure!(text.contains(subject), "{subject} is not named: {found}");
        let next = found["next"].as_str().unwrap_or_default();
        let command = next.split("  # ").next().unwrap_or_default();
        ensure!(matches(&self.next, command), "the page has another command than {command}: {}", self.next);
        Ok(found)
    }

    /// Runs its program, which must not find it.
    async fn is_over(&self, operator: &Operator<'_>) -> Result<()> {
        find(operator, &self.program, &self.check, "ok").await.map(drop)
    }
}

/// The first finding of a check, which must have this level and come in time.
async fn find(operator: &Operator<'_>, program: &str, check: &str, level: &str) -> Result<Value> {
    let asked = Instant::now();
    let ended = operator.run(&format!("{program} --json")).await?;
    let took = asked.elapsed();
    let answer = ended.summary()?;
    ensure!(took < WITHIN, "{program} has answered after {took:?}: {answer}");
    let all = answer["checks"].as_array().or_else(|| answer["findings"].as_array());
    let found = all.and_then(|all| all.iter().find(|finding| finding["check"] == check));
    let found = found.with_context(|| format!("no {check}: {answer}"))?;
    ensure!(found["level"] == level, "{check} is not {level}: {found}");
    Ok(found.clone())
}

/// Runs a line of shell, which must succeed.
async fn succeed(operator: &Operator<'_>, line: &str) -> Result<()> {
    let ended = operator.run(line).await?;
    ensure!(ended.code == Some(0), "{line}: {:?}: {}{}", ended.code, ended.stdout, ended.stderr);
    Ok(())
}

/// Whether a text consists of the pattern's parts between `…`, and of anything in place of those.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut ended = false;
    for part in parts {
        let Some(at) = rest.rfind(part).filter(|_| part.is_empty()).or_else(|| rest.find(part)) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        ended = part.is_empty();
    }
    ended || rest.is_empty()
}

#[test]
fn the_page_has_exactly_the_fifteen_faults() -> Result<()> {
    let rows = rows()?;
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, FAULTS);
    Ok(())
}

#[test]
fn a_pattern_matches_names_and_nothing_else() {
    assert!(matches("show … --region …", "show 6 --region us"));
    assert!(matches("migrate", "migrate") && !matches("migrate", "migrate x"));
    assert!(matches("a … b", "a x b") && !matches("a … b", "a x c") && !matches("a … b", "a x b c"));
}
