//! What changes between a rebuild's comparison of all rows and its lock is found under the lock.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::{History, all_at};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, World};
use sqlx::AssertSqlSafe;

async fn filled() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok(world)
}

/// Changes exactly one row by hand.
async fn change(world: &World, statement: &str) -> Result<()> {
    let changed = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(world.pool()).await?;
    assert_eq!(changed.rows_affected(), 1, "{statement}");
    Ok(())
}

/// A history with a run on hold, which would retire 20 assets.
async fn with_run_on_hold() -> Result<(History, Vec<(String, i64)>)> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 20)?;
    history.run(&[]).await?;
    assert_eq!(history.states().await?, [(1, "balanced".to_owned()), (2, "held".to_owned())]);
    Ok((history, all_at(&gone, 2)))
}

fn logged(ended: &Ended, event: &str) -> usize {
    ended.logged(event).len()
}

fn different(table: &str, rows: [u64; 3]) -> (String, [u64; 3]) {
    (format!("socrata_{table}"), rows)
}

#[tokio::test]
async fn rows_that_consumers_write_after_the_comparison_are_compared_again() -> Result<()> {
    let world = filled().await?;
    change(
        &world,
        "update socrata_datasets set name = 'damaged' where id = (select max(id) from socrata_datasets)",
    )
    .await?;
    change(
        &world,
        "update socrata_datasets set retired_at = now()
         where id = (select id from socrata_datasets order by id desc offset 1 limit 1)",
    )
    .await?;
    let paused = world.pause_before_lock(world.rebuild()?).await?;
    let tuesday = MockServer::start(Options::new(Synthetic::new(200, 4).with_page_views_of(1))).await?;
    world.crawl(&tuesday)?.args(["--limit", "40"]).succeed().await?;
    world.consume()?.succeed().await?;
    // An operator repairs one of the differing rows, and damages rows that the consumer has just written.
    change(&world, "update socrata_datasets set retired_at = null where retired_at is not null").await?;
    for damage in [
        "update socrata_datasets set name = 'damaged'
         where id = (select min(id) from socrata_dataset_stats where last_run = 2)",
        "update socrata_dataset_stats set page_views_total = -1
         where id = (select max(id) from socrata_dataset_stats where last_run = 2)",
        "delete from socrata_hosts where host = (select min(host) from socrata_hosts where last_run = 2)",
        "delete from socrata_agencies where (host, agency) =
         (select host, agency from socrata_agencies where last_run = 2 order by host, agency limit 1)",
    ] {
        change(&world, damage).await?;
    }
    let ended = paused.finish().await?;
    let found = [
        different("agencies", [1, 0, 0]),
        different("dataset_stats", [0, 1, 0]),
        different("datasets", [0, 2, 0]),
        different("hosts", [1, 0, 0]),
    ];
    assert_eq!((ended.code, ended.differences()?), (Some(0), BTreeMap::from(found)), "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_OUTDATED), 0, "{}", ended.stderr);
    world.verify_topics()?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_decision_after_the_comparison_makes_the_rebuild_compare_all_rows_again() -> Result<()> {
    let (history, gone) = with_run_on_hold().await?;
    let world = &history.world;
    let paused = world.pause_before_lock(world.rebuild()?).await?;
    history.decide("release", "2").await?;
    // Only a comparison of all rows finds this one, because no record of it was read since.
    let restore = format!("update socrata_datasets set retired_at = null where id = '{}'", gone[0].0);
    change(world, &restore).await?;
    let ended = paused.finish().await?;
    let found = BTreeMap::from([different("datasets", [0, 1, 0])]);
    assert_eq!((ended.code, ended.differences()?), (Some(0), found), "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_OUTDATED), 1, "{}", ended.stderr);
    assert_eq!(history.retired().await?, gone);
    Ok(())
}

#[tokio::test]
async fn a_run_that_retires_after_the_comparison_leaves_nothing_to_repair() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let world = &history.world;
    let paused = world.pause_before_lock(world.verify_topics()?).await?;
    let gone = history.take("a.example", 2)?;
    history.run(&[]).await?;
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    let ended = paused.finish().await?;
    assert_eq!((ended.code, ended.differences()?), (Some(0), BTreeMap::new()), "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_OUTDATED), 1, "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_decision_during_the_comparison_repeats_it_before_the_lock() -> Result<()> {
    let (history, gone) = with_run_on_hold().await?;
    let world = &history.world;
    let mut comparing = world.pool().begin().await?;
    sqlx::query("lock table socrata_agencies in access exclusive mode").execute(&mut *comparing).await?;
    let rebuild = world.rebuild()?.start()?;
    world.until_blocked("%candidates_agencies%").await?;
    history.decide("release", "2").await?;
    comparing.rollback().await?;
    let ended = rebuild.ended().await?;
    assert_eq!((ended.code, ended.differences()?), (Some(0), BTreeMap::new()), "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_COMPARED), 2, "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_REPEATED), 1, "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_OUTDATED), 0, "{}", ended.stderr);
    assert_eq!(history.retired().await?, gone);
    Ok(())
}

#[tokio::test]
async fn a_position_set_back_makes_the_rebuild_compare_all_rows_again() -> Result<()> {
    let world = filled().await?;
    let paused = world.pause_before_lock(world.rebuild()?).await?;
    change(
        &world,
        "update positions set position = 0 where (topic, partition) =
         (select topic, partition from positions where topic like '%hosts' and position > 0 limit 1)",
    )
    .await?;
    change(
        &world,
        "update socrata_datasets set name = 'damaged' where id = (select max(id) from socrata_datasets)",
    )
    .await?;
    let ended = paused.finish().await?;
    let found = BTreeMap::from([different("datasets", [0, 1, 0])]);
    assert_eq!((ended.code, ended.differences()?), (Some(0), found), "{}", ended.stderr);
    assert_eq!(logged(&ended, events::SNAPSHOT_OUTDATED), 1, "{}", ended.stderr);
    Ok(())
}
