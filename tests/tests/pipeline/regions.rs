//! Regions are independent of each other.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options, Region};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

#[tokio::test]
async fn an_open_transaction_of_one_region_does_not_hide_the_cursor_of_the_other() -> Result<()> {
    let world = World::new().await?;
    let us = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    let eu =
        MockServer::start(Options::new(Synthetic::in_region(Region::Eu, 200, 3)).region(Region::Eu)).await?;
    world.crawl(&us)?.succeed().await?;

    // As a producer of the US leaves it when it is killed in the middle of a page.
    let left: FutureProducer =
        world.kafka().set("transactional.id", world.topic("producer.us")).set("linger.ms", "0").create()?;
    let timeout = std::time::Duration::from_secs(30);
    let opened = left.clone();
    tokio::task::spawn_blocking(move || opened.init_transactions(timeout)).await??;
    left.begin_transaction()?;
    let topic = world.topic("cursors");
    let half = FutureRecord::to(&topic).partition(0).key("us").payload("half a page's cursor");
    left.send_result(half).map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;

    for run in 1..=3 {
        let ended = world.crawl(&eu)?.succeed().await?.summary()?;
        assert_eq!((ended["run"].as_u64(), ended["whole"].as_bool()), (Some(run), Some(true)));
    }
    // The next producer of the US aborts the open transaction and continues.
    let ended = world.crawl(&us)?.succeed().await?.summary()?;
    assert_eq!(ended["run"], 2);
    Ok(())
}

#[tokio::test]
async fn both_regions_end_in_one_set_of_tables() -> Result<()> {
    let world = World::new().await?;
    let us = MockServer::start(Options::new(Synthetic::new(300, 3))).await?;
    let eu =
        MockServer::start(Options::new(Synthetic::in_region(Region::Eu, 200, 3)).region(Region::Eu)).await?;
    let (one, other) = tokio::join!(world.crawl(&us)?.succeed(), world.crawl(&eu)?.succeed());
    one?;
    other?;
    world.consume()?.succeed().await?;
    let counts: Vec<(String, i64)> =
        sqlx::query_as("select region, count(*) from socrata_datasets group by region order by region")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(counts, [("eu".into(), 200), ("us".into(), 300)]);
    let states: Vec<String> = sqlx::query_scalar("select state from runs").fetch_all(world.pool()).await?;
    assert_eq!(states, ["balanced", "balanced"]);
    Ok(())
}
