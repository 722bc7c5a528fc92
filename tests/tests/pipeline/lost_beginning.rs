//! Topics that have lost their first records. Rows that the remaining records don't cover are not deleted or changed.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use catalog_shared::events;
use catalog_tests::history::History;
use catalog_tests::world::{CATALOG, Ended, Program, World};
use sqlx::AssertSqlSafe;

const DOMAINS: [(&str, usize); 2] = [("a.example", 60), ("b.example", 60)];

async fn execute(world: &World, statement: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(world.pool()).await?;
    Ok(())
}

/// Two crawls, the second of which retires five assets.
async fn crawled() -> Result<History> {
    let history = History::new(&DOMAINS).await?;
    history.run(&[]).await?;
    history.take("a.example", 5)?;
    history.run(&[]).await?;
    assert_eq!(history.retired().await?.len(), 5);
    Ok(history)
}

/// Deletes a topic's records up to `less` offsets before the end of a run. Returns the new first offsets.
async fn lose(world: &World, topic: &'static str, run: i64, less: i64) -> Result<Vec<(i32, i64)>> {
    let ends: Vec<(i32, i64)> = sqlx::query_as(
        "select partition, marker_offset + 2 - $3 from run_partitions where topic = $1 and run = $2 order by 1",
    )
    .bind(world.topic(topic))
    .bind(run)
    .bind(less)
    .fetch_all(world.pool())
    .await?;
    ensure!(!ends.is_empty(), "{topic} has no end of run {run}");
    for (partition, offset) in &ends {
        world.delete_before(topic, *partition, *offset).await?;
    }
    world.set_policy(topic, "compact").await?;
    Ok(ends)
}

/// Asserts that the command stops with exit code 3 and names the partitions.
async fn refused(world: &World, program: Program, topic: &str, lost: &[(i32, i64)]) -> Result<Ended> {
    let ended = program.run().await?;
    ensure!(ended.code == Some(3), "{:?}: {}", ended.code, ended.stderr);
    for (partition, offset) in lost {
        let named = format!("{}[{partition}] begins at offset {offset}", world.topic(topic));
        ensure!(ended.stderr.contains(&named), "{named} is not in {}", ended.stderr);
    }
    ensure!(ended.stderr.contains("--accept-loss"), "{}", ended.stderr);
    Ok(ended)
}

/// The number of kept rows per table.
fn kept(ended: &Ended) -> Result<BTreeMap<String, u64>> {
    let summary = ended.summary()?;
    let tables = summary["tables"].as_array().into_iter().flatten();
    let counts = tables.map(|table| {
        (table["table"].as_str().unwrap_or_default().to_owned(), table["kept"].as_u64().unwrap_or_default())
    });
    Ok(counts.filter(|(_, kept)| *kept > 0).collect())
}

#[tokio::test]
async fn a_rebuild_of_topics_that_lost_their_beginning_deletes_nothing() -> Result<()> {
    let history = crawled().await?;
    let world = &history.world;
    // Half of run 2 is lost too, so no complete full run is left.
    let lost = lose(world, "datasets", 2, 20).await?;
    // Damages a row that has no record left.
    let id: String = sqlx::query_scalar("select min(id) from socrata_datasets where retired_at is not null")
        .fetch_one(world.pool())
        .await?;
    execute(world, &format!("update socrata_datasets set name = 'kept' where id = '{id}'")).await?;
    let before = world.contents("catalog", &CATALOG).await?;

    let reported = refused(world, world.rebuild()?, "datasets", &lost).await?;
    ensure!(reported.stderr.contains("us: none yet"), "{}", reported.stderr);
    refused(world, world.verify_topics()?, "datasets", &lost).await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);

    for program in [world.verify_topics()?, world.rebuild()?, world.verify_topics()?] {
        let ended = program.args(["--accept-loss"]).succeed().await?;
        assert_eq!(ended.differences()?, BTreeMap::new());
        let kept = kept(&ended)?;
        ensure!(kept["socrata_datasets"] > 60 && kept["socrata_dataset_stats"] > 60, "{kept:?}");
        assert_eq!(ended.summary()?["lost_beginnings"].as_array().map(Vec::len), Some(lost.len()));
    }
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    Ok(())
}

#[tokio::test]
async fn after_the_next_full_crawl_a_rebuild_only_warns_and_repairs_rows() -> Result<()> {
    let history = crawled().await?;
    let world = &history.world;
    let lost = lose(world, "datasets", 2, 20).await?;
    refused(world, world.rebuild()?, "datasets", &lost).await?;
    history.run(&[]).await?;

    // The five retired rows are from before run 3 and have no records. All others are repaired, and so are all hosts,
    // because their topic is complete.
    let active = "retired_at is null";
    execute(world, &format!("update socrata_datasets set name = 'damaged' where id = (select min(id) from socrata_datasets where {active})")).await?;
    execute(world, "insert into socrata_hosts select region, 'extra.example', domain, 1, last_page, observed_at from socrata_hosts limit 1").await?;
    let ended = world.rebuild()?.succeed().await?;
    ensure!(!ended.logged(events::LOST_BEGINNINGS).is_empty(), "{}", ended.stderr);
    ensure!(ended.stderr.contains("us: run 3"), "{}", ended.stderr);
    assert_eq!(
        ended.differences()?,
        [("socrata_datasets".to_owned(), [0, 1, 0]), ("socrata_hosts".to_owned(), [0, 0, 1])].into()
    );
    assert_eq!(kept(&ended)?["socrata_datasets"], 5);
    assert_eq!(ended.summary()?["floors"][0]["run"], 3);
    assert_eq!(history.retired().await?.len(), 5);
    assert_eq!(world.verify_topics()?.succeed().await?.differences()?, BTreeMap::new());
    Ok(())
}

#[tokio::test]
async fn a_run_that_begins_right_at_the_first_offsets_is_complete() -> Result<()> {
    let history = crawled().await?;
    lose(&history.world, "datasets", 1, 0).await?;
    let ended = history.world.rebuild()?.succeed().await?;
    assert_eq!((ended.differences()?, kept(&ended)?["socrata_datasets"]), (BTreeMap::new(), 5));
    assert_eq!(ended.summary()?["floors"][0]["run"], 2);
    assert_eq!(history.retired().await?.len(), 5);

    // With one more offset lost, a record of run 2 may be missing.
    lose(&history.world, "datasets", 1, -1).await?;
    assert_eq!(history.world.rebuild()?.run().await?.code, Some(3));
    Ok(())
}

#[tokio::test]
async fn new_tables_are_not_filled_from_topics_that_lost_their_beginning() -> Result<()> {
    let history = crawled().await?;
    let world = &history.world;
    let lost = lose(world, "datasets", 2, 20).await?;
    let fresh = ["--migrate", "--schema", "fresh"];
    let again = || anyhow::Ok(world.consume_again()?.args(["--until-caught-up"]));
    refused(world, again()?, "datasets", &lost).await?;
    let dry_run = ["--until-caught-up", "--dry-run", "--schema", "again"];
    refused(world, world.plain_run()?.args(dry_run), "datasets", &lost).await?;
    let positions: i64 =
        sqlx::query_scalar("select count(*) from again.positions where topic not like '%dead-letters'")
            .fetch_one(world.pool())
            .await?;
    assert_eq!(positions, 0);
    refused(world, world.rebuild()?.args(fresh), "datasets", &lost).await?;

    again()?.args(["--accept-loss"]).succeed().await?;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from again.socrata_datasets").fetch_one(world.pool()).await?;
    ensure!(rows > 0 && rows < 60, "{rows} rows");
    // Partitions with a position continue without the flag.
    history.run(&[]).await?;
    again()?.succeed().await?;

    // Run 3 published everything again.
    world.rebuild()?.args(fresh).succeed().await?;
    let active = |schema: &str| {
        let query = format!("select id from {schema}.socrata_datasets where retired_at is null order by id");
        async move { sqlx::query_scalar::<_, String>(AssertSqlSafe(query)).fetch_all(world.pool()).await }
    };
    assert_eq!(active("fresh").await?, active("catalog").await?);
    assert_eq!(active("fresh").await?.len(), 115);
    Ok(())
}

#[tokio::test]
async fn lost_decisions_are_refused_like_lost_data_until_the_next_decision() -> Result<()> {
    let history = crawled().await?;
    let world = &history.world;
    let verdicts = world.records("verdicts").await?;
    let end = verdicts.last().map(|record| record.offset + 1).unwrap_or_default();
    ensure!(end > 0, "no verdict was published");
    world.delete_before("verdicts", 0, end).await?;
    world.set_policy("verdicts", "compact").await?;
    let lost = [(0, end)];
    refused(world, world.rebuild()?, "verdicts", &lost).await?;
    refused(world, world.verify_topics()?, "verdicts", &lost).await?;
    refused(world, world.consume_again()?.args(["--until-caught-up"]), "verdicts", &lost).await?;
    refused(world, world.rebuild()?.args(["--migrate", "--schema", "fresh"]), "verdicts", &lost).await?;
    world.rebuild()?.args(["--accept-loss"]).succeed().await?;
    // Tables with positions continue.
    history.run(&[]).await?;
    for program in [world.rebuild()?, world.verify_topics()?] {
        let ended = program.succeed().await?;
        assert_eq!(
            (ended.differences()?, ended.summary()?["floors"][0]["run"].clone()),
            (BTreeMap::new(), 3.into())
        );
    }
    Ok(())
}
