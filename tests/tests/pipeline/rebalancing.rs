//! Whatever the group does with a member, each record is applied once and in order.

use anyhow::Result;
use catalog_tests::double::{Double, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};

const ASSETS: u64 = 600;

/// Each record of both runs is counted once, and the tables are what a fresh consumer makes of the topics.
async fn assert_once(world: &World) -> Result<()> {
    let runs: Vec<(i64, String, bool)> =
        sqlx::query_as("select run, state, applied = published from runs order by run")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(runs, [(1, "balanced".to_owned(), true), (2, "balanced".to_owned(), true)]);
    let older: i64 =
        sqlx::query_scalar("select sum(older)::bigint from run_partitions").fetch_one(world.pool()).await?;
    assert_eq!(older, 0, "records were applied out of order");
    world.consume()?.args(["--schema", "fresh", "--group", &world.topic("fresh")]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("fresh", &CATALOG).await?);
    Ok(())
}

#[tokio::test]
async fn a_revoked_partition_finishes_its_batch_first() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let double = Double::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    world.crawl(&double)?.succeed().await?;
    let mut first = world.member()?.args(["--batch-size", "50"]).start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
    world.crawl(&double)?.succeed().await?;
    // Members come and go while batches of the second run are on their way.
    let mut second = world.member()?.args(["--batch-size", "50"]).start()?;
    second.logged("partition assigned").await?;
    first.logged("partition revoked").await?;
    let third = world.member()?.args(["--batch-size", "50"]).start()?;
    second.terminate()?;
    assert_eq!(second.ended().await?.code, Some(0));
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    for member in [first, third] {
        member.terminate()?;
        assert_eq!(member.ended().await?.code, Some(0));
    }
    assert_once(&world).await
}
