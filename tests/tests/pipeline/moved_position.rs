//! If another consumer moves a position, the batch is dropped and the consumer continues from the new position.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::AssertSqlSafe;

#[tokio::test]
async fn a_batch_behind_the_moved_position_writes_nothing() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut member = world.member()?.start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;

    // The position moves past run 2's records, as another consumer would move it.
    let datasets = world.topic("datasets");
    let mut other = world.pool().begin().await?;
    sqlx::query("select from positions where topic = $1 and partition = 0 for update")
        .bind(&datasets)
        .execute(&mut *other)
        .await?;
    world.crawl(&api)?.succeed().await?;
    world
        .until(
            "select exists (select from pg_stat_activity where datname = current_database()
             and application_name = 'catalog-consumer' and wait_event_type = 'Lock')",
        )
        .await?;
    let (_, end) = world.committed(&datasets, 0).await?;
    sqlx::query("update positions set position = $2, counted_to = $2 where topic = $1 and partition = 0")
        .bind(&datasets)
        .bind(end)
        .execute(&mut *other)
        .await?;
    other.commit().await?;
    let reported = member.logged(events::POSITION_MOVED).await?;
    assert_eq!((reported["partition"].as_i64(), reported["position"].as_i64()), (Some(0), Some(end)));

    // Run 3 is applied again, and of run 2 only the records of other partitions.
    world.crawl(&api)?.succeed().await?;
    world
        .until(
            "select exists (select from run_partitions where run = 3 and topic like '%datasets' and partition = 0
             and published = unchanged)",
        )
        .await?;
    let late: i64 = sqlx::query_scalar(
        "select count(*) from run_partitions where run = 2 and topic = $1 and partition = 0",
    )
    .bind(&datasets)
    .fetch_one(world.pool())
    .await?;
    assert_eq!(late, 0);
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn positions_set_back_under_a_consumer_are_replayed_and_counted_once() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut member = world.member()?.start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
    let before = world.contents("catalog", &["socrata_hosts"]).await?;
    let hosts = world.topic("hosts");
    // It has read everything and is idle.
    world.until("select position > marker_offset + 1 from positions join run_partitions using (topic, partition) where topic like '%.hosts'").await?;
    let back =
        format!("delete from socrata_hosts; update positions set position = 0 where topic = '{hosts}'");
    sqlx::raw_sql(AssertSqlSafe(back)).execute(world.pool()).await?;
    // Its next batch detects the moved position.
    world.crawl(&api)?.args(["--limit", "1"]).succeed().await?;
    let reported = member.logged(events::POSITION_WENT_BACK).await?;
    assert_eq!((reported["topic"].as_str(), reported["position"].as_i64()), (Some(hosts.as_str()), Some(0)));
    world.until("select exists (select from runs where run = 2 and state = 'ended')").await?;
    assert_eq!(world.contents("catalog", &["socrata_hosts"]).await?[0].rows, before[0].rows);
    let counted: bool = sqlx::query_scalar(
        "select bool_and(new + changed + unchanged + older = published) from run_partitions",
    )
    .fetch_one(world.pool())
    .await?;
    assert!(counted);
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
