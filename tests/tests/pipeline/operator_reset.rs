//! If an operator resets the group's offsets with Kafka's tools, the consumer follows, backward and forward.

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

const LEDGER: [&str; 2] = ["runs", "run_partitions"];
const ASSETS: u64 = 300;

async fn crawled_twice() -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 4))).await?;
    for _ in 0..2 {
        world.crawl(&api)?.succeed().await?;
    }
    world.consume()?.succeed().await?;
    Ok((world, api))
}

async fn reset(world: &World, to: &str) -> Result<()> {
    world.consumer_groups(&["--reset-offsets", to, "--all-topics", "--execute"]).await?;
    Ok(())
}

fn datasets(summary: &Value, effect: &str) -> Option<u64> {
    summary["records"]["datasets"][effect].as_u64()
}

#[tokio::test]
async fn a_reset_to_the_earliest_replays_to_the_same_tables_and_counts_nothing() -> Result<()> {
    let (world, _double) = crawled_twice().await?;
    let tables = world.contents("catalog", &CATALOG).await?;
    let ledger = world.contents("catalog", &LEDGER).await?;
    reset(&world, "--to-earliest").await?;

    let replayed = world.consume()?.succeed().await?.summary()?;
    assert_eq!(datasets(&replayed, "unchanged"), Some(ASSETS), "{replayed}");
    assert_eq!(datasets(&replayed, "older"), Some(ASSETS), "{replayed}");
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);
    assert_eq!(world.contents("catalog", &LEDGER).await?, ledger);

    // The reset takes effect once.
    let again = world.consume()?.succeed().await?.summary()?;
    assert_eq!(datasets(&again, "unchanged"), Some(0), "{again}");
    let lags = world.consumer_groups(&["--describe"]).await?;
    let lag = |line: &str| line.split_whitespace().nth(5).map(str::to_owned);
    let lags: Vec<_> = lags.lines().filter(|line| line.contains(&world.topic(""))).map(lag).collect();
    assert!(lags.len() >= 5 && lags.iter().all(|lag| lag.as_deref() == Some("0")), "{lags:?}");
    Ok(())
}

#[tokio::test]
async fn lost_rows_come_back_with_a_replay() -> Result<()> {
    let (world, _double) = crawled_twice().await?;
    let tables = world.contents("catalog", &CATALOG).await?;
    for table in ["delete from socrata_datasets", "delete from socrata_dataset_stats"] {
        sqlx::query(table).execute(world.pool()).await?;
    }
    reset(&world, "--to-earliest").await?;
    world.consume()?.succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);
    Ok(())
}

#[tokio::test]
async fn a_reset_to_the_latest_skips_the_records_in_between() -> Result<()> {
    let (world, api) = crawled_twice().await?;
    world.crawl(&api)?.succeed().await?;
    reset(&world, "--to-latest").await?;
    let skipped = world.consume()?.succeed().await?.summary()?;
    assert_eq!(datasets(&skipped, "unchanged"), Some(0), "{skipped}");
    // The end-of-run records were skipped too, so the run retired nothing.
    let known: Vec<i64> =
        sqlx::query_scalar("select run from runs order by run").fetch_all(world.pool()).await?;
    assert_eq!(known, [1, 2]);
    world.crawl(&api)?.succeed().await?;
    let next = world.consume()?.succeed().await?.summary()?;
    assert_eq!(datasets(&next, "unchanged"), Some(ASSETS), "{next}");
    Ok(())
}

/// Sets the group's offset as a client does that does not check it. Kafka's tool moves it into the partition.
async fn commit(world: &World, offset: i64) -> Result<()> {
    let (mut config, topic) = (world.kafka(), world.topic("datasets"));
    config.set("group.id", world.group());
    let commit = move || {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(offset))?;
        config.create::<BaseConsumer>()?.commit(&list, CommitMode::Sync)
    };
    tokio::task::spawn_blocking(commit).await?.context("can't commit")
}

#[tokio::test]
async fn a_reset_beyond_the_end_is_refused_and_leaves_the_position() -> Result<()> {
    let (world, _double) = crawled_twice().await?;
    let positions = world.contents("catalog", &["positions"]).await?;
    commit(&world, 5_000_000).await?;
    let refused = world.consume()?.run().await?;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("the group's offset was reset to 5000000"), "{}", refused.stderr);
    assert_eq!(world.contents("catalog", &["positions"]).await?, positions);

    reset(&world, "--to-earliest").await?;
    let replayed = world.consume()?.succeed().await?.summary()?;
    assert_eq!(datasets(&replayed, "unchanged"), Some(ASSETS), "{replayed}");
    Ok(())
}
