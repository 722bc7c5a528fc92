//! A consumer killed anywhere applies each record exactly once.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

const ASSETS: i64 = 2_000;

async fn crawled() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS as u64, 8))).await?;
    world.crawl(&api)?.succeed().await?;
    Ok(world)
}

/// Every record counted once and every row there.
async fn assert_whole(world: &World) -> Result<()> {
    let (state, published, applied): (String, i64, i64) =
        sqlx::query_as("select state, published, applied from runs").fetch_one(world.pool()).await?;
    assert_eq!((state.as_str(), applied), ("balanced", published));
    let new: i64 =
        sqlx::query_scalar("select sum(new)::bigint from run_partitions").fetch_one(world.pool()).await?;
    assert_eq!(new, published);
    let rows: i64 =
        sqlx::query_scalar("select count(*) from socrata_datasets").fetch_one(world.pool()).await?;
    assert_eq!(rows, ASSETS);
    Ok(())
}

#[tokio::test]
async fn killed_between_batches_it_goes_on_where_it_stopped() -> Result<()> {
    let world = crawled().await?;
    for batches in [1, 4, 9] {
        let mut member = world.mortal()?.args(["--batch-size", "40"]).start()?;
        for _ in 0..batches {
            member.logged(events::BATCH_APPLIED).await?;
        }
        member.kill().await?;
    }
    world.consume()?.succeed().await?;
    assert_whole(&world).await
}

#[tokio::test]
async fn killed_within_a_transaction_it_leaves_nothing_of_it() -> Result<()> {
    let world = crawled().await?;
    // Makes the tables; there is nothing else to do for a topic that doesn't exist.
    world.migrate().await?;
    // Rows are written before the ledger, so a batch that waits here has written rows already.
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table run_partitions in share mode").execute(&mut *blocker).await?;
    let member = world.mortal()?.start()?;
    world
        .until(
            "select exists (select from pg_stat_activity where datname = current_database() \
                  and wait_event_type = 'Lock' and query like '%run_partitions%')",
        )
        .await?;
    member.kill().await?;
    blocker.rollback().await?;
    // The server notices that the client is gone when it next speaks to it.
    world
        .until(
            "select not exists (select from pg_stat_activity where datname = current_database() \
                  and application_name = 'catalog-consumer')",
        )
        .await?;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from socrata_dataset_stats").fetch_one(world.pool()).await?;
    assert_eq!(rows, 0);
    world.consume()?.succeed().await?;
    assert_whole(&world).await
}
