//! The documented queries. Each runs and finds something, and the results of some are compared with results
//! computed from the served objects.

mod expected;
mod fill;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use time::OffsetDateTime;

use expected::expected;
pub(crate) use fill::{Filled, PORTAL, fill};

/// Queries without a result in the demo's data, where nothing is retired, damaged or incomplete.
const EMPTY_IN_DEMO: [&str; 7] = [
    "Gone this month",
    "Assets that moved to another domain",
    "Values that could not be read",
    "Held runs",
    "Where the API declares more than there is",
    "Where the last crawl found another number than the API declared",
    "Open dead letters",
];

/// A query and its heading.
struct Query {
    title: String,
    sql: String,
}

/// The ```` ```sql ```` blocks of a page, one statement each.
fn queries(page: &str) -> Result<Vec<Query>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (mut title, mut sql, mut found) = (String::new(), None::<String>, Vec::new());
    for line in text.lines() {
        match (&mut sql, line) {
            (None, "```sql") => sql = Some(String::new()),
            (None, line) if line.starts_with('#') => title = line.trim_start_matches(['#', ' ']).to_owned(),
            (None, _) => {}
            (Some(block), "```") => {
                let statements = block.split(';').map(str::trim).filter(|statement| !statement.is_empty());
                found.extend(statements.map(|sql| Query { title: title.clone(), sql: sql.to_owned() }));
                sql = None;
            }
            (Some(block), line) => block.extend([line, "\n"]),
        }
    }
    ensure!(sql.is_none(), "{page}: a block has no end");
    Ok(found)
}

/// The rows that a query returns, as objects.
async fn rows(pool: &PgPool, sql: &str) -> Result<Vec<Value>> {
    let query = format!("select to_jsonb(answer) from (\n{sql}\n) as answer");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(pool).await.with_context(|| sql.to_owned())
}

#[tokio::test]
async fn every_documented_query_runs_and_finds_the_expected_rows() -> Result<()> {
    let filled = fill().await?;
    let pool = filled.world.pool();
    let mut compared = Vec::new();
    for page in ["docs/how-to/query-the-catalog.md", "README.md"] {
        let queries = queries(page)?;
        ensure!(queries.len() > 2, "{page} has no queries");
        for Query { title, sql } in queries {
            if sql.starts_with("set ") {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await?;
                continue;
            }
            let rows = rows(pool, &sql).await?;
            ensure!(!rows.is_empty(), "{page}, {title}: nothing is found\n{sql}");
            if let Some(expected) =
                expected(&title, &filled).filter(|_| page == "docs/how-to/query-the-catalog.md")
            {
                assert_eq!(expected.found_in(&rows), expected.rows, "{title}\n{sql}");
                compared.push(title);
            }
        }
    }
    // Otherwise a reworded heading would silently lose its expectation.
    assert_eq!(compared.len(), expected::TITLES.len(), "{compared:?}");
    Ok(())
}

#[tokio::test]
async fn every_query_answers_on_the_catalog_of_the_demo() -> Result<()> {
    // As `dev/demo` has it.
    let catalog = Synthetic::new(5_000, 40).with_recent_changes(OffsetDateTime::now_utc());
    let (world, api) = (World::new().await?, MockServer::start(Options::new(catalog)).await?);
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    for Query { title, sql } in queries("docs/how-to/query-the-catalog.md")? {
        if !sql.starts_with("set ") {
            let empty = rows(world.pool(), &sql).await?.is_empty();
            assert_eq!(empty, EMPTY_IN_DEMO.contains(&title.as_str()), "{title}\n{sql}");
        }
    }
    Ok(())
}
