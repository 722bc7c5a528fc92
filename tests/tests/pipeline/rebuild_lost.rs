//! A rebuild recreates missing tables, views and columns.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};

/// The definition of a schema's tables and views: columns and their order, indexes, constraints, comments, storage
/// parameters, and the text of views.
const DEFINITION: &str = "
    select format('%s %s %s %s', relname, relkind, relpersistence, reloptions) from pg_class
    where relnamespace = 'catalog'::regnamespace and relkind in ('r', 'v')
    union all
    select format('%s.%s %s %s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnum, attnotnull,
        attcompression, attcollation) from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'catalog'::regnamespace and relkind in ('r', 'v') and attnum > 0
    union all
    select indexdef from pg_indexes where schemaname = 'catalog'
    union all
    select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
    where connamespace = 'catalog'::regnamespace
    union all
    select format('%s %s %s', objoid::regclass, objsubid, description) from pg_description
    join pg_class on pg_class.oid = objoid
    where classoid = 'pg_class'::regclass and relnamespace = 'catalog'::regnamespace
    union all
    select format('%s %s', viewname, definition) from pg_views where schemaname = 'catalog'
    order by 1";

async fn world() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok(world)
}

async fn definition(world: &World) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(DEFINITION).fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn dropped_tables_are_recreated_with_everything_that_depended_on_them() -> Result<()> {
    let world = world().await?;
    let (definition_before, before) = (definition(&world).await?, world.contents("catalog", &CATALOG).await?);
    sqlx::raw_sql("drop table socrata_datasets cascade; drop table socrata_hosts cascade")
        .execute(world.pool())
        .await?;
    let looked = world.verify_topics()?.run().await?;
    assert_eq!(looked.code, Some(1));
    assert!(looked.stderr.contains("has no table socrata_datasets: `rebuild` recreates it"), "{looked:?}");

    let hosts = before.iter().find(|held| held.table == "socrata_hosts").map_or(0, |held| held.rows);
    let missing = BTreeMap::from([
        ("socrata_datasets".to_owned(), [200, 0, 0]),
        ("socrata_hosts".to_owned(), [hosts.unsigned_abs(), 0, 0]),
    ]);
    assert_eq!(world.as_owner(world.rebuild()?).succeed().await?.differences()?, missing);
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    assert_eq!(definition(&world).await?, definition_before);
    // The new tables have no grants.
    world.grant_roles().await?;
    world.verify_topics()?.succeed().await?;
    world.ask(&["verify"])?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_rebuild_leaves_no_empty_table_for_consumers_to_fill() -> Result<()> {
    let world = world().await?;
    let (definition_before, before) = (definition(&world).await?, world.contents("catalog", &CATALOG).await?);
    sqlx::raw_sql("drop table socrata_datasets cascade").execute(world.pool()).await?;
    let rebuild = world.as_owner(world.rebuild()?).args(["--batch-size", "10", "--connections", "1"]);
    let mut rebuild = rebuild.start()?;
    for _ in 0..5 {
        rebuild.logged(events::BATCH_REPLAYED).await?;
    }
    rebuild.kill().await?;
    let is_there: bool = sqlx::query_scalar("select to_regclass('catalog.socrata_datasets') is not null")
        .fetch_one(world.pool())
        .await?;
    assert!(!is_there);

    world.as_owner(world.rebuild()?).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    assert_eq!(definition(&world).await?, definition_before);
    let left: Vec<String> =
        sqlx::query_scalar("select nspname::text from pg_namespace where nspname ~ '^catalog_'")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_missing_table_of_the_ledger_is_reported() -> Result<()> {
    let world = world().await?;
    let before = world.contents("catalog", &CATALOG).await?;
    sqlx::query("drop table run_partitions").execute(world.pool()).await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("has no table run_partitions: fill a new schema"), "{}", ended.stderr);
    world.rebuild()?.args(["--migrate", "--schema", "fresh"]).succeed().await?;
    assert_eq!(world.contents("fresh", &CATALOG).await?, before);
    Ok(())
}

/// A migration adds a column at the end of a filled table. Only its position distinguishes it from one that existed
/// before.
#[tokio::test]
async fn a_new_column_is_filled() -> Result<()> {
    let world = world().await?;
    let licensed: i64 = sqlx::query_scalar("select count(*) from socrata_datasets where license is not null")
        .fetch_one(world.pool())
        .await?;
    let licenses = "select md5(string_agg(id || license, ' ' order by domain, id)) from socrata_datasets";
    let before: Option<String> = sqlx::query_scalar(licenses).fetch_one(world.pool()).await?;
    sqlx::raw_sql(
        "alter table socrata_datasets drop column license cascade;
         alter table socrata_datasets add column license text",
    )
    .execute(world.pool())
    .await?;
    let filled = BTreeMap::from([("socrata_datasets".to_owned(), [0, licensed.unsigned_abs(), 0])]);
    assert_eq!(world.as_owner(world.rebuild()?).succeed().await?.differences()?, filled);
    let after: Option<String> = sqlx::query_scalar(licenses).fetch_one(world.pool()).await?;
    assert_eq!(after, before);
    // The views that depended on the column are recreated too.
    let active: i64 = sqlx::query_scalar("select count(*) from active_datasets where license is not null")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(active, licensed);
    world.verify_topics()?.succeed().await?;
    Ok(())
}
