//! A rebuild fills a new database, and goes as far as the tables have ever been in one that is old.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::double::{Double, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Contents, World};
use sqlx::AssertSqlSafe;

async fn crawled() -> Result<(World, Double)> {
    let world = World::new().await?;
    let double = Double::start(Options::new(Synthetic::new(300, 6))).await?;
    world.crawl(&double)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok((world, double))
}

/// What became of the runs, and their ledger. The rest of a run is what the first marker says that comes.
async fn books(world: &World, schema: &str) -> Result<(Vec<String>, Vec<Contents>)> {
    let runs = format!(
        "select (region, run, state, reason, published, applied, dead)::text from {schema}.runs order by 1"
    );
    let runs = sqlx::query_scalar(AssertSqlSafe(runs)).fetch_all(world.pool()).await?;
    Ok((runs, world.contents(schema, &["run_partitions"]).await?))
}

#[tokio::test]
async fn a_new_database_is_filled_and_consumers_go_on_from_there() -> Result<()> {
    let (world, double) = crawled().await?;
    let anew = ["--schema", "anew"];
    let rebuilt = world.rebuild()?.args(["--migrate"]).args(anew).succeed().await?;
    let held = world.contents("catalog", &CATALOG).await?;
    let missing = held.into_iter().map(|held| (held.table.to_owned(), [held.rows.unsigned_abs(), 0, 0]));
    assert_eq!(rebuilt.differences()?, missing.collect());
    assert_eq!(world.contents("anew", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    assert_eq!(books(&world, "anew").await?, books(&world, "catalog").await?);

    world.crawl(&double)?.succeed().await?;
    world.consume()?.succeed().await?;
    let summary = world.consume()?.args(anew).args(["--group", "anew"]).succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["unchanged"], 300);
    assert_eq!(summary["records"]["datasets"]["new"], 0);
    assert_eq!(world.contents("anew", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    assert_eq!(books(&world, "anew").await?, books(&world, "catalog").await?);
    Ok(())
}

#[tokio::test]
async fn a_partition_that_was_set_back_keeps_its_rows() -> Result<()> {
    let (world, _) = crawled().await?;
    sqlx::query("update positions set position = 0").execute(world.pool()).await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, BTreeMap::new());
    let rows: i64 =
        sqlx::query_scalar("select count(*) from socrata_datasets").fetch_one(world.pool()).await?;
    assert_eq!(rows, 300);
    Ok(())
}

#[tokio::test]
async fn tables_that_stand_beyond_the_topics_or_in_others_are_left_alone() -> Result<()> {
    let (world, _) = crawled().await?;
    let before = world.contents("catalog", &CATALOG).await?;
    sqlx::query("update positions set position = position + 1000, counted_to = counted_to + 1000 where topic like '%hosts'")
        .execute(world.pool())
        .await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("the topic was made anew"), "{}", ended.stderr);

    let ended = world.rebuild()?.args(["--topic-prefix", &world.topic("hosts")]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    sqlx::query("insert into positions values ('socrata.hosts', 0, 7, 7, now())")
        .execute(world.pool())
        .await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("were made from socrata.hosts[0] too"), "{}", ended.stderr);
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_gone_is_told_of_and_a_new_schema_has_it() -> Result<()> {
    let (world, _) = crawled().await?;
    let before = world.contents("catalog", &CATALOG).await?;
    sqlx::query("drop table socrata_hosts cascade").execute(world.pool()).await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("has no table socrata_hosts any more"), "{}", ended.stderr);
    world.rebuild()?.args(["--migrate", "--schema", "anew"]).succeed().await?;
    assert_eq!(world.contents("anew", &CATALOG).await?, before);
    Ok(())
}
