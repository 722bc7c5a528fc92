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

/// Asserts that each record counts once and no row is missing.
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
async fn a_consumer_killed_between_batches_continues_where_it_stopped() -> Result<()> {
    let world = crawled().await?;
    for batches in [1, 4, 9] {
        let mut member = world.short_session()?.args(["--batch-size", "40"]).start()?;
        for _ in 0..batches {
            member.logged(events::BATCH_APPLIED).await?;
        }
        member.kill().await?;
    }
    world.consume()?.succeed().await?;
    assert_whole(&world).await
}

#[tokio::test]
async fn a_consumer_killed_within_a_transaction_leaves_none_of_its_rows() -> Result<()> {
    let world = crawled().await?;
    // Creates the tables.
    world.migrate().await?;
    // Rows are written before the ledger, so a batch that waits here has already written rows.
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table run_partitions in share mode").execute(&mut *blocker).await?;
    let member = world.short_session()?.start()?;
    world
        .until(
            "select exists (select from pg_stat_activity where datname = current_database() \
                  and wait_event_type = 'Lock' and query like '%run_partitions%')",
        )
        .await?;
    member.kill().await?;
    blocker.rollback().await?;
    // The server notices the dead client when it next sends data to it.
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
