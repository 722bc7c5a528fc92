//! The reference pages that describe tables and checks are complete.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use catalog_tests::docs::Page;
use catalog_tests::world::World;
use serde_json::Value;

use super::crawled;

/// Every column of every table and view, as `table column type`, in their order.
const COLUMNS: &str = "
    select relation.relname || ' ' || field.attname || ' '
        || replace(format_type(field.atttypid, field.atttypmod), 'timestamp with time zone', 'timestamptz')
        || case when relation.relkind = 'r' and not field.attnotnull then ', null' else '' end
    from pg_class as relation
    join pg_attribute as field on field.attrelid = relation.oid
    where relation.relnamespace = 'catalog'::regnamespace and relation.relkind in ('r', 'v')
        and relation.relname <> '_sqlx_migrations' and field.attnum > 0 and not field.attisdropped
    order by relation.relname, field.attnum";

/// The cells of a table's row, without their backticks. None for other lines, headers and rules.
fn cells(line: &str) -> Option<Vec<String>> {
    let row = line.strip_prefix("| `")?;
    Some(row.split(" | ").map(|cell| cell.replace('`', "")).collect())
}

#[tokio::test]
async fn the_page_of_tables_has_every_column_with_its_type() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let mut found: Vec<String> = sqlx::query_scalar(COLUMNS).fetch_all(world.pool()).await?;
    let page = Page::read("docs/reference/tables.md")?;
    let (mut table, mut described) = (None, Vec::new());
    for line in page.text.lines() {
        if line.starts_with('#') {
            table = line.strip_prefix("### `").map(|name| name.trim_end_matches('`'));
        } else if let (Some(table), Some(cells)) = (table, cells(line)) {
            described.push(format!("{table} {} {}", cells[0], cells[1]));
        }
    }
    found.sort();
    described.sort();
    assert_eq!(described, found);
    Ok(())
}

#[tokio::test]
async fn the_page_of_checks_has_every_check_with_its_severity() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let answer = world.ask(&["verify", "--json"])?.succeed().await?.summary()?;
    let checks = answer["checks"].as_array().context("verify lists its checks")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<_> = checks.iter().map(|check| (text(&check["severity"]), text(&check["name"]))).collect();
    let page = Page::read("docs/reference/checks.md")?;
    let (mut severity, mut described) = (String::new(), Vec::new());
    for line in page.text.lines() {
        match (line.strip_prefix("## "), cells(line)) {
            (Some(heading), _) => heading.to_lowercase().trim_end_matches('s').clone_into(&mut severity),
            (None, Some(cells)) => described.push((severity.clone(), cells[0].clone())),
            _ => {}
        }
    }
    assert_eq!(described, found);
    Ok(())
}

/// The names of an object's members.
fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn the_samples_of_health_have_the_members_that_a_consumer_shows() -> Result<()> {
    let history = crawled().await?;
    let mut consumer = history.world.plain_run()?.args(["--metrics-addr", "0"]).start()?;
    let port = consumer.watched().await?;
    let shown = port.until("/healthz", 200, |health| health["partitions"][0].is_object()).await?;
    for path in ["docs/reference/health.md", super::STUCK] {
        let blocks = Page::read(path)?.blocks()?;
        let sample = blocks.iter().find(|block| block.language == "json").context("the page has a sample")?;
        let sample: Value = serde_json::from_str(&sample.text)?;
        assert_eq!(members(&sample), members(&shown), "{path}");
        assert_eq!(members(&sample["partitions"][0]), members(&shown["partitions"][0]), "{path}");
    }
    Ok(())
}
