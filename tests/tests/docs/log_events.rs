//! docs/reference/logs.md lists each log event of both programs, and each log line of level INFO or higher has an event.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_tests::docs::{Page, root};

const PAGE: &str = "docs/reference/logs.md";

/// The event id and the level of each row.
fn rows(page: &str) -> Vec<(&str, &str)> {
    page.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    Some((cells.next()?.strip_suffix('`')?, cells.next()?))
}

/// A log call of the programs.
struct Call {
    level: String,
    /// The first of its arguments.
    arguments: String,
}

impl Call {
    /// The constant whose event it logs.
    fn event(&self) -> Option<&str> {
        let name = self.arguments.trim_start().strip_prefix("event = events::")?;
        name.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next()
    }
}

/// The log calls of a source file without its unit tests.
fn calls(source: &str) -> Vec<Call> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    source.split("tracing::").skip(1).filter_map(call).collect()
}

fn call(rest: &str) -> Option<Call> {
    let (level, arguments) = rest.split_once("!(")?;
    let is_level = matches!(level, "error" | "warn" | "info" | "debug" | "trace");
    let arguments = arguments.chars().take(100).collect();
    is_level.then(|| Call { level: level.to_uppercase(), arguments })
}

fn calls_in(folder: &Path, found: &mut Vec<Call>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            calls_in(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(calls(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn all_calls() -> Result<Vec<Call>> {
    let mut found = Vec::new();
    for folder in ["consumer/src", "producer/src", "shared/src"] {
        calls_in(&root().join(folder), &mut found)?;
    }
    ensure!(found.len() > 60, "only {} log calls were found", found.len());
    Ok(found)
}

#[test]
fn each_event_has_one_row_and_each_row_has_an_event() -> Result<()> {
    let page = Page::read(PAGE)?;
    let rows = rows(&page.text);
    let listed: BTreeSet<&str> = rows.iter().map(|(id, _)| *id).collect();
    ensure!(listed.len() == rows.len(), "{PAGE} lists an event twice");
    let known: BTreeSet<&str> = events::ALL.iter().map(|(_, id)| *id).collect();
    let missing: Vec<_> = known.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&known).collect();
    ensure!(missing.is_empty(), "{PAGE} has no row for {missing:?}");
    ensure!(unknown.is_empty(), "shared/src/events.rs has no event for the rows {unknown:?}");
    Ok(())
}

#[test]
fn each_log_line_from_info_up_has_an_event() -> Result<()> {
    let calls = all_calls()?;
    let is_shown = |call: &&Call| !matches!(call.level.as_str(), "DEBUG" | "TRACE");
    let without = calls.iter().filter(is_shown).filter(|call| call.event().is_none());
    let without: Vec<&str> = without.map(|call| call.arguments.as_str()).collect();
    ensure!(without.is_empty(), "these log calls have no event: {without:#?}");
    Ok(())
}

#[test]
fn each_event_is_logged_at_the_level_of_its_row() -> Result<()> {
    let page = Page::read(PAGE)?;
    let levels: BTreeMap<&str, &str> = rows(&page.text).into_iter().collect();
    let mut unused: BTreeMap<&str, &str> = events::ALL.iter().copied().collect();
    // These two bypass the subscriber: see shared/src/telemetry.rs.
    unused.retain(|_, id| ![events::FAILED, events::LOG_LINES_LOST].contains(id));
    let ids = unused.clone();
    for call in &all_calls()? {
        let Some(name) = call.event() else { continue };
        let id = ids.get(name).with_context(|| format!("there is no event {name}"))?;
        ensure!(levels.get(id) == Some(&call.level.as_str()), "{id} is logged as {}", call.level);
        unused.remove(name);
    }
    ensure!(unused.is_empty(), "no code logs {:?}", unused.values());
    Ok(())
}

#[test]
fn rows_and_log_calls_are_parsed() {
    assert_eq!(rows("| event | level |\n| --- | --- |\n| `a_b` | WARN | both |\n"), [("a_b", "WARN")]);
    let source =
        "tracing::warn!(\n    event = events::A_B,\n    x\n); tracing::info!(\"x\"); tracing::field::x";
    let calls = calls(source);
    let found: Vec<_> = calls.iter().map(|call| (call.level.as_str(), call.event())).collect();
    assert_eq!(found, [("WARN", Some("A_B")), ("INFO", None)]);
}
