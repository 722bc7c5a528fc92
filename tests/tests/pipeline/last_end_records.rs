//! The last two end-of-run records of a run arrive at once. Without the schema lock each would miss the other.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

#[tokio::test]
async fn a_run_whose_last_end_of_run_records_arrive_together_is_judged_once() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    // Each partition's records form one batch with its end-of-run record.
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let datasets = world.topic("datasets");

    // All partitions except the two of the datasets, which are marked as applied.
    for partition in 0..2 {
        let (_, end) = world.committed(&datasets, partition).await?;
        sqlx::query("insert into positions values ($1, $2, $3, $3, now())")
            .bind(&datasets)
            .bind(partition)
            .bind(end)
            .execute(world.pool())
            .await?;
    }
    world.consume()?.succeed().await?;
    let state: String = sqlx::query_scalar("select state from runs").fetch_one(world.pool()).await?;
    assert_eq!(state, "open");

    // Both at once. The lock allows positions to be read but not moved. It stops a batch that has passed the schema
    // lock between its look at the ledger and its commit, until both batches wait.
    sqlx::query("update positions set position = 0, counted_to = 0 where topic = $1")
        .bind(&datasets)
        .execute(world.pool())
        .await?;
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table positions in share mode").execute(&mut *blocker).await?;
    let member = world.consume()?.start()?;
    world
        .until(
            "select count(*) = 2 from pg_stat_activity where datname = current_database()
             and application_name = 'catalog-consumer' and wait_event_type = 'Lock'",
        )
        .await?;
    blocker.commit().await?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary = ended.summary()?;
    assert_eq!(summary["runs"].as_array().map(Vec::len), Some(1), "{summary}");
    assert_eq!(summary["runs"][0]["state"], "balanced");
    Ok(())
}
