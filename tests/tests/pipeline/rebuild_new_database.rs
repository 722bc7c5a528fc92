//! A rebuild fills a new database. In an existing one it reads up to the furthest position that the tables ever had.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options, Region};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Contents, World};
use sqlx::AssertSqlSafe;

async fn crawled() -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 6))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok((world, api))
}

/// The states of the runs, and their ledger. Other columns of a run come from its first end-of-run record to arrive.
async fn ledger(world: &World, schema: &str) -> Result<(Vec<String>, Vec<Contents>)> {
    let runs = format!(
        "select (region, run, state, reason, published, applied, dead)::text from {schema}.runs order by 1"
    );
    let runs = sqlx::query_scalar(AssertSqlSafe(runs)).fetch_all(world.pool()).await?;
    Ok((runs, world.contents(schema, &["run_partitions"]).await?))
}

#[tokio::test]
async fn a_new_database_is_filled_and_consumers_continue_from_there() -> Result<()> {
    let (world, api) = crawled().await?;
    let fresh = ["--schema", "fresh"];
    let rebuilt = world.rebuild()?.args(["--migrate"]).args(fresh).succeed().await?;
    let held = world.contents("catalog", &CATALOG).await?;
    let missing = held.into_iter().map(|held| (held.table.to_owned(), [held.rows.unsigned_abs(), 0, 0]));
    assert_eq!(rebuilt.differences()?, missing.collect());
    assert_eq!(world.contents("fresh", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    assert_eq!(ledger(&world, "fresh").await?, ledger(&world, "catalog").await?);

    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    let summary = world.consume()?.args(fresh).args(["--group", "fresh"]).succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["unchanged"], 300);
    assert_eq!(summary["records"]["datasets"]["new"], 0);
    assert_eq!(world.contents("fresh", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    assert_eq!(ledger(&world, "fresh").await?, ledger(&world, "catalog").await?);
    Ok(())
}

#[tokio::test]
async fn a_partition_whose_position_was_set_back_keeps_its_rows() -> Result<()> {
    let (world, _) = crawled().await?;
    sqlx::query("update positions set position = 0").execute(world.pool()).await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, BTreeMap::new());
    let rows: i64 =
        sqlx::query_scalar("select count(*) from socrata_datasets").fetch_one(world.pool()).await?;
    assert_eq!(rows, 300);
    Ok(())
}

#[tokio::test]
async fn tables_with_positions_beyond_the_topics_or_of_other_topics_are_not_changed() -> Result<()> {
    let (world, _) = crawled().await?;
    let before = world.contents("catalog", &CATALOG).await?;
    sqlx::query("update positions set position = position + 1000, counted_to = counted_to + 1000 where topic like '%hosts'")
        .execute(world.pool())
        .await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("the topic was recreated"), "{}", ended.stderr);

    let ended = world.rebuild()?.args(["--topic-prefix", &world.topic("hosts")]).run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("belong to the topics"), "{}", ended.stderr);
    sqlx::query("insert into positions values ('socrata.hosts', 0, 7, 7, now())")
        .execute(world.pool())
        .await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("were filled from socrata.hosts[0] too"), "{}", ended.stderr);
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    Ok(())
}

#[tokio::test]
async fn both_regions_are_repaired() -> Result<()> {
    let (world, _) = crawled().await?;
    let eu = Options::new(Synthetic::in_region(Region::Eu, 100, 3)).region(Region::Eu);
    world.crawl(&MockServer::start(eu).await?)?.succeed().await?;
    world.consume()?.succeed().await?;
    let before = world.contents("catalog", &CATALOG).await?;
    sqlx::query(
        "update socrata_datasets set name = 'damaged'
         where (region, domain, id) in (select distinct on (region) region, domain, id from socrata_datasets)",
    )
    .execute(world.pool())
    .await?;
    let repaired = BTreeMap::from([("socrata_datasets".to_owned(), [0, 2, 0])]);
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, repaired);
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    world.rebuild()?.args(["--migrate", "--schema", "fresh"]).succeed().await?;
    assert_eq!(world.contents("fresh", &CATALOG).await?, before);
    assert_eq!(ledger(&world, "fresh").await?, ledger(&world, "catalog").await?);
    Ok(())
}

#[tokio::test]
async fn records_skipped_by_a_reset_come_back_with_their_run() -> Result<()> {
    let (world, api) = crawled().await?;
    world.crawl(&api)?.succeed().await?;
    world.consumer_groups(&["--reset-offsets", "--to-latest", "--all-topics", "--execute"]).await?;
    world.consume()?.succeed().await?;
    assert_eq!(world.verify_topics()?.run().await?.code, Some(1));
    world.rebuild()?.succeed().await?;
    let runs: Vec<(i64, String)> =
        sqlx::query_as("select run, state from runs order by run").fetch_all(world.pool()).await?;
    assert_eq!(runs, [(1, "balanced".to_owned()), (2, "open".to_owned())]);
    world.ask(&["verify"])?.succeed().await?;
    world.verify_topics()?.succeed().await?;

    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    world.ask(&["verify"])?.succeed().await?;
    world.verify_topics()?.succeed().await?;
    Ok(())
}
