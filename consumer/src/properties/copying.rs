//! Rows that COPY writes are those that the upsert writes, and where COPY does not fit the table, the upsert writes them.

use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use catalog_shared::record::Version;
use catalog_shared::region::Region;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, raw_sql};
use time::OffsetDateTime;

use super::content::{asset, holds_in_tables};
use super::scan::{members, text};
use super::tables::Tables;
use crate::decode::rows::{Dataset, Rows, Versioned};
use crate::store::database;
use crate::store::rows::{self, CopyRows};

/// Stores in a setting of the transaction whether the last statement that wrote datasets was a COPY.
const WATCH: &str = "
    create or replace function watch() returns trigger language plpgsql as $$
    begin
        perform set_config('test.copied', (current_query() like '%copy socrata_datasets%')::text, true);
        return null;
    end
    $$;
    drop trigger if exists watch on socrata_datasets;
    create trigger watch after insert on socrata_datasets for each statement execute function watch()";

/// PostgreSQL does not alter columns that a view uses.
const DROP_VIEWS: &str = "
    do $$
    declare found text;
    begin
        for found in select viewname from pg_views where schemaname = current_schema() loop
            execute format('drop view if exists %I cascade', found);
        end loop;
    end
    $$";

/// An asset: its domain, its id and its object.
type Asset = (String, String, String);

/// Assets with different ids. Objects that can't be scanned are left out.
fn assets(texts: &[String]) -> Vec<Asset> {
    let asset = |(number, text): (usize, &String)| {
        let id = format!("aaaa-{number:04}");
        ("d.example".to_owned(), id.clone(), text.replace("aaaa-bbbb", &id))
    };
    let assets = texts.iter().enumerate().map(asset);
    assets.filter(|(domain, id, text)| Dataset::scan(text, domain, id).is_ok()).collect()
}

fn rows(assets: &[Asset], run: u32) -> Vec<Versioned<Dataset<'_>>> {
    let rows = assets.iter().map(|(domain, id, text)| Versioned {
        region: Region::Us,
        version: Version { run, page: 1 },
        observed_at: OffsetDateTime::UNIX_EPOCH,
        offset: 0,
        row: Dataset::scan(text, domain, id).unwrap(),
    });
    rows.collect()
}

/// Writes the assets as new rows with this role. Returns whether they were copied.
async fn store_as(tables: &Tables, role: &str, assets: &[Asset], run: u32, copy: CopyRows) -> Result<bool> {
    let mut tx = tables.pool.begin().await?;
    raw_sql(WATCH).execute(&mut *tx).await?;
    raw_sql(AssertSqlSafe(format!("set local role {role}"))).execute(&mut *tx).await?;
    rows::write(&mut tx, Rows::Datasets(rows(assets, run)), copy).await?;
    let copied: String =
        sqlx::query_scalar("select current_setting('test.copied')").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(copied == "true")
}

async fn store(tables: &Tables, assets: &[Asset], copy: CopyRows) -> Result<bool> {
    store_as(tables, "none", assets, 1, copy).await
}

/// Writes the assets to one set of tables with COPY if it fits, and to the other with an upsert. Returns whether they were
/// copied, and fails if the contents differ.
async fn store_both_ways(one: &Tables, other: &Tables, assets: &[Asset]) -> Result<bool> {
    let copied = store(one, assets, CopyRows::From(1)).await?;
    ensure!(!store(other, assets, CopyRows::Never).await?, "an upsert was wanted");
    let (one, other) = (one.contents().await?, other.contents().await?);
    ensure!(one.len() == 2 * assets.len() && one == other, "{one:#?} and not {other:#?}");
    Ok(copied)
}

async fn execute(tables: &Tables, statements: &str) -> Result<()> {
    raw_sql(AssertSqlSafe(statements.to_owned())).execute(&tables.pool).await?;
    Ok(())
}

async fn alter(tables: &Tables, alteration: &str) -> Result<()> {
    execute(tables, DROP_VIEWS).await?;
    execute(tables, alteration).await
}

async fn drop_all(tables: impl IntoIterator<Item = Tables>) -> Result<()> {
    for tables in tables {
        tables.drop().await?;
    }
    Ok(())
}

/// An object with values in all columns.
fn full_object(name: &str) -> String {
    json!({
        "resource": {
            "id": "aaaa-bbbb", "name": name, "type": "dataset", "description": "words", "parent_fxf": ["x", null],
            "createdAt": "2020-02-29T01:02:03.456Z", "data_updated_at": "2020-02-29T01:02:03.789Z",
            "columns_name": ["B", "A"], "columns_field_name": ["b", "a"],
        },
        "classification": { "tags": ["a\"b", "c\\d", "", "NULL"], "categories": [], "domain_metadata": [{"key": 1}] },
        "metadata": { "domain": "d.example" }, "link": "https://d.example/x",
    })
    .to_string()
}

#[test]
fn copied_rows_are_those_of_the_upsert() {
    let text = prop_oneof![
        members().prop_map(|members| text(&members)),
        asset().prop_map(|asset| asset.to_string())
    ];
    let texts = prop::collection::vec(text, 1..12);
    holds_in_tables("copied", &texts, &async |one, other, texts: Vec<String>| {
        let assets = assets(&texts);
        ensure!(assets.is_empty() || store_both_ways(one, other, &assets).await?, "not copied");
        Ok(())
    });
}

#[tokio::test]
async fn copied_times_are_those_of_the_upsert() -> Result<()> {
    let times = [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00.0000001Z",
        "1969-12-31T23:59:59.9999999Z",
        "1999-12-31T23:59:59.999999999Z",
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00.0000009Z",
        "2024-02-29T12:00:00.123456789+14:00",
        "9999-12-31T23:59:59.999999999Z",
        "infinity",
    ];
    let texts = times.map(|time| full_object(time).replace("2020-02-29T01:02:03.456Z", time));
    let tables = (Tables::make("times").await?, Tables::make("times").await?);
    ensure!(store_both_ways(&tables.0, &tables.1, &assets(&texts)).await?, "not copied");
    drop_all([tables.0, tables.1]).await
}

/// Real objects, if recordings are available.
#[tokio::test]
async fn copied_real_objects_are_those_of_the_upsert() -> Result<()> {
    let Some(folder) = env::var_os("CATALOG_RECORDINGS") else { return Ok(()) };
    let file = BufReader::new(GzDecoder::new(File::open(Path::new(&folder).join("us-2020.ndjson.gz"))?));
    let asset = |line: std::io::Result<String>| {
        let line = line?;
        let object: Value = serde_json::from_str(&line)?;
        let text =
            |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned).context("a text");
        Ok((text("/metadata/domain")?, text("/resource/id")?, line))
    };
    let assets = file.lines().step_by(15).map(asset).collect::<Result<Vec<Asset>>>()?;
    let tables = (Tables::make("real").await?, Tables::make("real").await?);
    ensure!(assets.len() > 2_000 && store_both_ways(&tables.0, &tables.1, &assets).await?, "not copied");
    drop_all([tables.0, tables.1]).await
}

#[tokio::test]
async fn columns_that_an_operator_adds_are_filled_as_by_an_upsert() -> Result<()> {
    let added = "alter table socrata_datasets
        add column noted text not null default 'x',
        add column length bigint generated always as (length(name)) stored,
        add constraint has_name check (name <> '');
        alter table socrata_datasets drop column noted;
        create function mark() returns trigger language plpgsql as
            $$ begin new.category := 'marked'; return new; end $$;
        create trigger mark before insert on socrata_datasets for each row execute function mark()";
    let tables = (Tables::make("added").await?, Tables::make("added").await?);
    execute(&tables.0, added).await?;
    execute(&tables.1, added).await?;
    let copied = store_both_ways(&tables.0, &tables.1, &assets(&["a", "bb"].map(full_object))).await?;
    ensure!(copied && tables.0.contents().await?.iter().any(|row| row.contains("marked")), "not copied");
    drop_all([tables.0, tables.1]).await
}

/// Binary COPY would store the bytes of one type as another.
#[tokio::test]
async fn rows_of_altered_tables_are_not_copied() -> Result<()> {
    for (number, alteration) in [
        "alter table socrata_datasets alter column columns type text",
        "alter table socrata_datasets alter column name type varchar(300)",
        "alter table socrata_datasets alter column data_updated_at type timestamptz(0)",
        "create rule kept as on delete to socrata_datasets do also nothing",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("altered{number}");
        let tables = (Tables::make(&name).await?, Tables::make(&name).await?);
        alter(&tables.0, alteration).await?;
        alter(&tables.1, alteration).await?;
        let copied = store_both_ways(&tables.0, &tables.1, &assets(&["a", "b"].map(full_object))).await?;
        ensure!(!copied, "copied after: {alteration}");
        drop_all([tables.0, tables.1]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_column_of_another_type_is_refused_as_by_an_upsert() -> Result<()> {
    for (alteration, code) in [
        ("alter table socrata_datasets alter column created_at type bigint using 0", "42804"),
        ("alter table socrata_datasets rename column link to old_link", "42703"),
    ] {
        let tables = Tables::make("refused").await?;
        alter(&tables, alteration).await?;
        let stored = store(&tables, &assets(&[full_object("a")]), CopyRows::From(1)).await;
        let error: sqlx::Error = stored.err().context("it was stored")?.downcast()?;
        assert_eq!(database::code(&error).as_deref(), Some(code), "{error}");
        tables.drop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn rows_that_policies_restrict_are_not_copied() -> Result<()> {
    let tables = Tables::make("policies").await?;
    let role = "pg_monitor";
    let schema: String = sqlx::query_scalar("select current_schema()").fetch_one(&tables.pool).await?;
    let grant = format!(
        "grant usage on schema {schema} to {role}; grant all on all tables in schema {schema} to {role}"
    );
    execute(&tables, &grant).await?;
    let [first, second] = ["a", "b"].map(|name| assets(&[full_object(name)]));
    ensure!(store_as(&tables, role, &first, 1, CopyRows::From(1)).await?, "not copied");
    execute(&tables, "delete from socrata_datasets; delete from socrata_dataset_stats").await?;
    let policy = "alter table socrata_datasets enable row level security;
        create policy all_rows on socrata_datasets using (true)";
    execute(&tables, policy).await?;
    ensure!(!store_as(&tables, role, &second, 1, CopyRows::From(1)).await?, "copied");
    assert_eq!(tables.contents().await?.len(), 2);
    tables.drop().await
}

#[tokio::test]
async fn a_row_that_is_there_without_stats_is_overwritten() -> Result<()> {
    let tables = Tables::make("there").await?;
    let assets = |name| assets(&[full_object("same"), full_object(name)]);
    ensure!(store(&tables, &assets("before"), CopyRows::From(1)).await?, "not copied");
    execute(&tables, "delete from socrata_dataset_stats").await?;
    ensure!(!store_as(&tables, "none", &assets("after"), 2, CopyRows::From(1)).await?, "copied");
    let contents = tables.contents().await?;
    let with = |name: &str| contents.iter().filter(|row| row.contains(name)).count();
    assert_eq!((contents.len(), with("after"), with("before")), (4, 1, 0));
    tables.drop().await
}

#[tokio::test]
async fn a_refused_row_is_reported_by_the_upsert() -> Result<()> {
    let tables = Tables::make("check").await?;
    execute(&tables, "alter table socrata_datasets add constraint test_check check (name <> 'b')").await?;
    let stored = store(&tables, &assets(&["a", "b"].map(full_object)), CopyRows::From(1)).await;
    let error: sqlx::Error = stored.err().context("it was stored")?.downcast()?;
    assert_eq!(database::code(&error).as_deref(), Some("23514"));
    assert!(tables.contents().await?.is_empty());
    tables.drop().await
}
