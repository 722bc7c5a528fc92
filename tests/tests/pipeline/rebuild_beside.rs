//! A rebuild runs beside consumers and users without disturbing them.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::{History, all_at};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

/// The query with which a rebuild reads the positions of the tables.
const READS_POSITIONS: &str = "%greatest(position, counted_to)%";

/// A world with a small crawl in its tables, and the mock server that serves it.
async fn filled() -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(60, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok((world, api))
}

#[tokio::test]
async fn a_rebuild_beside_a_crawl_and_its_consumer_finds_nothing_to_repair() -> Result<()> {
    let world = World::new().await?;
    let monday = MockServer::start(Options::new(Synthetic::new(600, 8))).await?;
    world.crawl(&monday)?.succeed().await?;
    world.consume()?.succeed().await?;

    // Small pages and batches, so that positions move all the time.
    let member = world.member()?.args(["--batch-size", "20"]).start()?;
    let tuesday = MockServer::start(Options::new(Synthetic::new(600, 8).with_page_views_of(1))).await?;
    let crawl = tokio::spawn(world.crawl(&tuesday)?.args(["--page-size", "20"]).run());
    while !crawl.is_finished() {
        let rebuilt = world.rebuild()?.args(["--batch-size", "50"]).succeed().await?;
        assert_eq!(rebuilt.differences()?, BTreeMap::new());
    }
    assert_eq!(crawl.await??.code, Some(0));
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, BTreeMap::new());
    let runs: Vec<i64> = sqlx::query_scalar("select distinct last_run from socrata_dataset_stats")
        .fetch_all(world.pool())
        .await?;
    assert_eq!(runs, [2]);
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn positions_that_move_while_a_rebuild_starts_do_not_look_like_a_recreated_topic() -> Result<()> {
    let (world, api) = filled().await?;

    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table positions in access exclusive mode").execute(&mut *blocker).await?;
    let rebuild = world.rebuild()?.start()?;
    world.until_blocked(READS_POSITIONS).await?;
    // As a consumer does that has applied records published just now.
    world.crawl(&api)?.succeed().await?;
    sqlx::query("update positions set position = position + 1, counted_to = counted_to + 1")
        .execute(&mut *blocker)
        .await?;
    blocker.commit().await?;
    let ended = rebuild.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn records_deleted_while_a_rebuild_starts_are_reported() -> Result<()> {
    let (world, _double) = filled().await?;

    let mut beginning = world.pool().begin().await?;
    sqlx::query("lock table positions in access exclusive mode").execute(&mut *beginning).await?;
    let rebuild = world.rebuild()?.start()?;
    world.until_blocked(READS_POSITIONS).await?;
    // Blocked again after it has read the first offsets, before it reads records.
    let mut starting = world.pool().begin().await?;
    sqlx::query("lock table catalog_rebuild.positions in access exclusive mode")
        .execute(&mut *starting)
        .await?;
    beginning.rollback().await?;
    world.until_blocked("select position%").await?;
    world.delete_before("hosts", 0, 2).await?;
    starting.rollback().await?;
    let ended = rebuild.ended().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reported = format!(
        "{}[0] lost records during the replay: the position is 0, and the partition contains offsets 2 to ",
        world.topic("hosts")
    );
    assert!(ended.stderr.contains(&reported), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn consumers_wait_while_rows_are_compared_under_the_lock() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;

    let paused = world.pause_before_lock(world.rebuild()?).await?;
    // The rebuild holds the schema lock and waits for this lock, before it has compared the first table.
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table socrata_datasets in access exclusive mode").execute(&mut *blocker).await?;
    let rebuild = paused.resume().await?;
    world.until_blocked("%differing_datasets%").await?;
    // Records of another run, one per batch. Only the schema lock keeps those before the end-of-run records out of
    // the tables.
    let member = world.member()?.args(["--batch-size", "1", "--connections", "8"]).start()?;
    world.crawl(&api)?.succeed().await?;
    world
        .until(
            "select exists (select from pg_stat_activity where datname = current_database()
             and wait_event = 'advisory' and query like '%pg_advisory_xact_lock%')",
        )
        .await?;
    blocker.rollback().await?;
    let ended = rebuild.ended().await?;
    assert_eq!((ended.code, ended.differences()?), (Some(0), BTreeMap::new()), "{}", ended.stderr);
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    world.verify_topics()?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_long_read_under_the_lock_does_not_end_as_an_idle_transaction() -> Result<()> {
    let (world, api) = filled().await?;

    let paused = world.pause_before_lock(world.rebuild()?).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    let mut applying = world.pool().begin().await?;
    sqlx::query("lock table catalog_rebuild.socrata_hosts in share mode").execute(&mut *applying).await?;
    let rebuild = paused.resume().await?;
    world.until_blocked("%insert into socrata_hosts%").await?;
    // The server measures the idle time of a transaction from its last statement.
    let resting = "create table public.resting as select state_change as since from pg_stat_activity
        where datname = current_database() and state = 'idle in transaction'
        and application_name = 'catalog-consumer'";
    assert_eq!(sqlx::query(resting).execute(world.pool()).await?.rows_affected(), 1);
    world
        .until(
            "select exists (select from pg_stat_activity, public.resting where datname = current_database()
             and state = 'idle in transaction' and application_name = 'catalog-consumer'
             and state_change > since)",
        )
        .await?;
    applying.rollback().await?;
    let ended = rebuild.ended().await?;
    assert_eq!((ended.code, ended.differences()?), (Some(0), BTreeMap::new()), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_run_approved_during_a_rebuild_is_applied() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 20)?;
    history.run(&[]).await?;
    assert_eq!(history.states().await?, [(1, "balanced".to_owned()), (2, "held".to_owned())]);

    let mut rebuild = history.world.rebuild()?.args(["--batch-size", "10"]).start()?;
    rebuild.logged(events::BATCH_REPLAYED).await?;
    rebuild.signal("STOP")?;
    history.decide("release", "2").await?;
    rebuild.signal("CONT")?;
    let ended = rebuild.ended().await?;
    assert_eq!((ended.code, ended.differences()?), (Some(0), BTreeMap::new()), "{}", ended.stderr);
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    Ok(())
}

#[tokio::test]
async fn views_grants_and_publications_of_users_stay() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    world.login("reader").await?;
    sqlx::raw_sql(
        "do $$ begin
             execute format('grant select on socrata_datasets to %I', current_database());
         end $$;
         create view mine as select domain, name from socrata_datasets where retired_at is null;
         create publication changes for table socrata_datasets;
         alter table socrata_datasets add column note text;
         update socrata_datasets set note = 'kept' where id = (select min(id) from socrata_datasets);
         update socrata_datasets set name = 'damaged' where id = (select max(id) from socrata_datasets)",
    )
    .execute(world.pool())
    .await?;
    let repaired = BTreeMap::from([("socrata_datasets".to_owned(), [0, 1, 0])]);
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, repaired);
    let kept: (bool, i64, i64, i64) = sqlx::query_as(
        "select has_table_privilege(current_database()::text, 'socrata_datasets', 'select'),
             (select count(*) from mine),
             (select count(*) from pg_publication_tables where pubname = 'changes'),
             (select count(*) from socrata_datasets where note = 'kept')",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(kept, (true, 100, 1, 1));
    Ok(())
}
