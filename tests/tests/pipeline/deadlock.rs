//! A batch that PostgreSQL aborts to end a deadlock is retried.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::Connection;

#[tokio::test]
async fn a_batch_aborted_in_a_deadlock_is_applied_at_the_next_attempt() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    let (first, last): (String, String) =
        sqlx::query_as("select min(host), max(host) from socrata_hosts").fetch_one(world.pool()).await?;
    assert!(first < last);

    // Batches lock hosts in order. This session holds the last one, and requests the first one once the batch has it.
    // Its deadlock timeout is longer than the batch's, so PostgreSQL aborts the batch.
    world.crawl(&api)?.succeed().await?;
    let lock = "select from socrata_hosts where host = $1 for update";
    let mut connection = world.pool().acquire().await?;
    let timeouts = "do $$ begin
         execute format('alter database %I set deadlock_timeout = %L', current_database(), '5s');
         set deadlock_timeout = '10min';
     end $$";
    sqlx::query(timeouts).execute(&mut *connection).await?;
    let mut other = connection.begin().await?;
    sqlx::query(lock).bind(&last).execute(&mut *other).await?;
    let mut member = world.member()?.start()?;
    world
        .until(
        "select exists (select from pg_stat_activity where datname = current_database()
         and application_name = 'catalog-consumer' and wait_event_type = 'Lock' and query like '%socrata_hosts%')",
    ).await?;
    sqlx::query(lock).bind(&first).execute(&mut *other).await?;
    other.rollback().await?;
    member.logged(events::BATCH_RETRIED).await?;
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    member.terminate()?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("deadlock detected"), "{}", ended.stderr);
    Ok(())
}
