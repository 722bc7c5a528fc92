//! The sources for dbt and the queries of their page fit the tables. dbt itself is not run.

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::Page;
use sqlx::{AssertSqlSafe, raw_sql};

use super::crawled;

pub(super) const PAGE: &str = "docs/how-to/dbt.md";
const SOURCES: &str = "deploy/dbt/sources.yml";

/// A source. The file has each key on a line of its own, and its indent says what it belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    name: String,
    /// The table or view.
    relation: String,
    /// Its own setting `freshness: null` switches the common one off.
    has_freshness: bool,
    /// The rows that its freshness is about.
    filter: Option<String>,
    columns: Vec<String>,
}

/// The value after a key at this indent.
fn value<'a>(line: &'a str, indent: usize, key: &str) -> Option<&'a str> {
    let text = line.strip_prefix(&" ".repeat(indent))?;
    Some(text.strip_prefix(key)?.strip_prefix(": ")?.trim_matches('"'))
}

fn sources(text: &str) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for line in text.lines() {
        if let Some(name) = value(line, 6, "- name") {
            let (name, relation) = (name.to_owned(), name.to_owned());
            sources.push(Source { name, relation, has_freshness: true, ..Source::default() });
        }
        let Some(source) = sources.last_mut() else { continue };
        if let Some(relation) = value(line, 8, "identifier") {
            relation.clone_into(&mut source.relation);
        }
        if let Some(column) = value(line, 10, "- name") {
            source.columns.push(column.to_owned());
        }
        source.has_freshness &= value(line, 10, "freshness") != Some("null");
        source.filter = source.filter.take().or_else(|| value(line, 12, "filter").map(str::to_owned));
    }
    let columns: usize = sources.iter().map(|source| source.columns.len()).sum();
    // One more is that of all sources.
    let (names, nulls) = (text.matches("- name:").count(), text.matches("freshness: null").count());
    ensure!(sources.len() + columns + 1 == names, "{} of {names} names were read", sources.len() + columns);
    let without = sources.iter().filter(|source| !source.has_freshness).count();
    ensure!(without == nulls, "{without} of {nulls} sources without freshness were read");
    Ok(sources)
}

/// The columns of a table or a view of the schema, each with its type.
async fn columns(pool: &sqlx::PgPool, relation: &str) -> Result<Vec<(String, String)>> {
    let columns = "select attname::text, format_type(atttypid, atttypmod) from pg_attribute
        where attrelid = to_regclass('catalog.' || quote_ident($1)) and attnum > 0 and not attisdropped";
    Ok(sqlx::query_as(columns).bind(relation).fetch_all(pool).await?)
}

#[tokio::test]
async fn each_source_has_its_table_its_columns_and_if_it_has_freshness_the_time_for_it() -> Result<()> {
    let history = crawled().await?;
    let file = Page::read(SOURCES)?;
    let loaded_at = file.text.lines().find_map(|line| value(line, 6, "loaded_at_field"));
    let loaded_at = loaded_at.context("no time for the freshness")?;
    let sources = sources(&file.text)?;
    assert!(sources.iter().any(|source| source.has_freshness) && sources.len() > 5, "{sources:?}");
    for Source { name, relation, has_freshness, filter, columns: named } in sources {
        let columns = columns(history.world.pool(), &relation).await?;
        ensure!(!columns.is_empty(), "{name}: there is no table or view {relation}");
        let missing = named.iter().find(|named| !columns.iter().any(|(column, _)| column == *named));
        ensure!(missing.is_none(), "{name}: {relation} has no column {missing:?}");
        let has_time = columns.contains(&(loaded_at.to_owned(), "timestamp with time zone".to_owned()));
        ensure!(has_time || !has_freshness, "{name} has freshness, and {relation} has no time {loaded_at}");
        if has_freshness {
            // As dbt asks for it.
            let rows = filter.as_deref().unwrap_or("true");
            let newest = format!("select max({loaded_at}) is not null from catalog.{relation} where {rows}");
            let is_there: bool =
                sqlx::query_scalar(AssertSqlSafe(newest)).fetch_one(history.world.pool()).await?;
            // Only the region `us` was crawled.
            assert_eq!(is_there, filter.as_deref() != Some("region = 'eu'"), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_models_of_the_page_run_on_the_tables() -> Result<()> {
    let history = crawled().await?;
    let blocks = Page::read(PAGE)?.blocks()?;
    let models: Vec<_> = blocks.iter().filter(|block| block.language == "sql").collect();
    ensure!(models.len() == 2, "{} models were found", models.len());
    let sources = sources(&Page::read(SOURCES)?.text)?;
    for model in models {
        let sql = sources.iter().fold(model.text.clone(), |sql, Source { name, relation, .. }| {
            sql.replace(&format!("{{{{ source('catalog', '{name}') }}}}"), &format!("catalog.{relation}"))
        });
        raw_sql(AssertSqlSafe(sql.clone())).execute(history.world.pool()).await.context(sql)?;
    }
    Ok(())
}
