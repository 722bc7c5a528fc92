//! A signal ends commands that wait: nothing is left half done.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::world::World;

#[tokio::test]
async fn a_migration_that_waits_for_the_schema_lock_ends_at_the_first_signal() -> Result<()> {
    let world = World::unmigrated("").await?;
    let mut other = world.pool().acquire().await?;
    for statement in
        ["create schema catalog", "select pg_advisory_lock(hashtextextended('catalog-stream catalog', 0))"]
    {
        sqlx::query(statement).execute(&mut *other).await?;
    }
    let mut waiting = world.ask(&["migrate", "--log-format", "json"])?.start()?;
    waiting.logged(events::SCHEMA_LOCK_WANTED).await?;
    waiting.terminate()?;
    let ended = waiting.ended().await?;
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);

    sqlx::query("select pg_advisory_unlock_all()").execute(&mut *other).await?;
    world.migrate().await
}
