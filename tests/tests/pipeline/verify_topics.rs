//! `verify --topics` reports each row that differs from the topics, and `rebuild` repairs these and no others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};
use serde_json::json;
use sqlx::AssertSqlSafe;

/// PostgreSQL's own record of each row's last write, by table and key.
const WRITES: &str = "
    select 'socrata_datasets/' || domain || '/' || id, xmin::text || ctid::text from socrata_datasets union all
    select 'socrata_dataset_stats/' || domain || '/' || id, xmin::text || ctid::text from socrata_dataset_stats
    union all select 'socrata_domains/' || domain, xmin::text || ctid::text from socrata_domains
    union all select 'socrata_hosts/' || host, xmin::text || ctid::text from socrata_hosts
    union all select 'socrata_agencies/' || host || '/' || agency, xmin::text || ctid::text from socrata_agencies";

/// The non-key columns of each table, and an expression that changes their value.
const COLUMNS: &str = "
    select c.table_name::text, c.column_name::text, case c.data_type
        when 'text' then '''damaged'''
        when 'bigint' then format('coalesce(%I, 0) + 1', c.column_name)
        when 'timestamp with time zone' then '''2001-02-03''::timestamptz'
        when 'jsonb' then '''[\"damaged\"]''::jsonb'
        when 'ARRAY' then '''{damaged}''::text[]'
        when 'bytea' then '''\\x00''::bytea'
    end
    from information_schema.columns as c
    where c.table_schema = 'catalog' and c.table_name = any ($1)
        and not exists (
            select from information_schema.key_column_usage as k
            where k.table_schema = c.table_schema and k.table_name = c.table_name and k.column_name = c.column_name
        )
    order by c.table_name, c.ordinal_position";

async fn world() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 12))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok(world)
}

async fn writes(world: &World) -> Result<BTreeMap<String, String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(WRITES).fetch_all(world.pool()).await?;
    Ok(rows.into_iter().collect())
}

async fn execute(world: &World, statement: &str) -> Result<u64> {
    Ok(sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(world.pool()).await?.rows_affected())
}

/// The rows that were written between two snapshots, including deleted and new ones.
fn written(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeSet<String> {
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

#[tokio::test]
async fn untouched_tables_equal_the_topics() -> Result<()> {
    let world = world().await?;
    let before = writes(&world).await?;
    assert_eq!(world.verify_topics()?.succeed().await?.differences()?, BTreeMap::new());
    let rebuilt = world.rebuild()?.succeed().await?;
    assert_eq!(rebuilt.differences()?, BTreeMap::new());
    // Every row except those of the stats has its own record, and every partition an end-of-run record.
    assert_eq!(rebuilt.summary()?["records"], before.len() - 300 + 5);
    assert_eq!(writes(&world).await?, before);
    let schemas: i64 = sqlx::query_scalar("select count(*) from pg_namespace where nspname like 'catalog%'")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(schemas, 1);
    Ok(())
}

#[tokio::test]
async fn a_change_of_any_column_is_found_and_repaired() -> Result<()> {
    let world = world().await?;
    let before = writes(&world).await?;
    let columns: Vec<(String, String, String)> =
        sqlx::query_as(COLUMNS).bind(CATALOG).fetch_all(world.pool()).await?;
    let mut damaged: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for (table, column, value) in &columns {
        // Each in its own row, so that none is found because of another.
        let damage = format!(
            "with picked as (select ctid from (select ctid, row_number() over (order by {}) as place from {table}) as t
             where place = {}) update {table} set {column} = {value} where ctid in (select ctid from picked)",
            key(table),
            damaged.get(table).map_or(0, |counts| counts[1]) + 1
        );
        assert_eq!(execute(&world, &damage).await?, 1, "{table}.{column}");
        damaged.entry(table.clone()).or_default()[1] += 1;
    }
    assert_eq!(damaged.len(), CATALOG.len());
    let touched = written(&before, &writes(&world).await?);

    let ended = world.verify_topics()?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.differences()?, damaged);
    let report = ended.summary()?;
    let listed = report["tables"].as_array().unwrap().iter().flat_map(|table| {
        table["listed"].as_array().unwrap().iter().map(|row| (table["table"].clone(), row["columns"].clone()))
    });
    for (table, named) in listed {
        let named = named.as_array().unwrap();
        assert_eq!(named.len(), 1, "{table}: {named:?}");
        assert!(columns.iter().any(|(of, column, _)| table == *of && named[0] == *column));
    }

    let damaged_writes = writes(&world).await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, damaged);
    assert_eq!(written(&damaged_writes, &writes(&world).await?), touched);
    world.verify_topics()?.succeed().await?;
    Ok(())
}

const fn key(table: &str) -> &str {
    match table.as_bytes() {
        b"socrata_domains" => "domain",
        b"socrata_hosts" => "host",
        b"socrata_agencies" => "host, agency",
        _ => "domain, id",
    }
}

#[tokio::test]
async fn a_column_whose_type_was_altered_is_compared_and_repaired() -> Result<()> {
    let world = world().await?;
    execute(&world, "alter table socrata_hosts alter column last_page type integer").await?;
    world.verify_topics()?.succeed().await?;
    let deleted = execute(&world, "delete from socrata_hosts").await?;
    let expected = BTreeMap::from([("socrata_hosts".to_owned(), [deleted, 0, 0])]);
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, expected);
    Ok(())
}

#[tokio::test]
async fn missing_and_extra_rows_are_reported_and_repaired() -> Result<()> {
    let world = world().await?;
    let (domain, id): (String, String) =
        sqlx::query_as("select domain, id from socrata_datasets order by domain, id offset 7 limit 1")
            .fetch_one(world.pool())
            .await?;
    execute(&world, &format!("delete from socrata_datasets where domain = '{domain}' and id = '{id}'"))
        .await?;
    execute(&world, "delete from socrata_hosts").await?;
    execute(
        &world,
        "insert into socrata_agencies select region, host, 'Nobody', last_run, last_page, observed_at
         from socrata_agencies order by host, agency limit 1",
    )
    .await?;
    execute(
        &world,
        "insert into socrata_dataset_stats (region, domain, id, last_run, last_page, observed_at)
         values ('eu', 'nowhere.example', 'aaaa-bbbb', 1, 1, now())",
    )
    .await?;
    let hosts: i64 =
        sqlx::query_scalar("select count(distinct split_part(permalink, '/', 3)) from socrata_datasets")
            .fetch_one(world.pool())
            .await?;
    let expected = BTreeMap::from([
        ("socrata_agencies".to_owned(), [0, 0, 1]),
        ("socrata_dataset_stats".to_owned(), [0, 0, 1]),
        ("socrata_datasets".to_owned(), [1, 0, 0]),
        ("socrata_hosts".to_owned(), [hosts.unsigned_abs(), 0, 0]),
    ]);

    let ended = world.verify_topics()?.run().await?;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.differences()?, expected);
    let report = ended.summary()?;
    let listed = |table: usize| report["tables"][table]["listed"][0].clone();
    assert_eq!(listed(0), json!({ "kind": "missing", "key": ["us", domain, id], "columns": [] }));
    assert_eq!(
        listed(1),
        json!({ "kind": "extra", "key": ["eu", "nowhere.example", "aaaa-bbbb"], "columns": [] })
    );
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, expected);
    world.verify_topics()?.succeed().await?;
    Ok(())
}
