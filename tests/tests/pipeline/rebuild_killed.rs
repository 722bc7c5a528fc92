//! A rebuild killed at any point leaves the tables unchanged, and the next one removes its leftovers.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

const NAMES: &str = "select md5(string_agg(name || xmin::text || ctid::text, ' ' order by domain, id))
    from socrata_datasets";
const SHADOW: &str = "select exists (select from pg_namespace where nspname = 'catalog_rebuild')";

/// A world with damage in each row of the table of datasets.
async fn damaged() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    sqlx::query("update socrata_datasets set name = 'damaged'").execute(world.pool()).await?;
    Ok(world)
}

async fn names(world: &World) -> Result<String> {
    Ok(sqlx::query_scalar(NAMES).fetch_one(world.pool()).await?)
}

async fn has_shadow(world: &World) -> Result<bool> {
    Ok(sqlx::query_scalar(SHADOW).fetch_one(world.pool()).await?)
}

/// Asserts that the next rebuild repairs everything and leaves nothing behind.
async fn assert_repaired(world: &World) -> Result<()> {
    assert!(has_shadow(world).await?);
    let report = world.rebuild()?.succeed().await?.summary()?;
    assert_eq!(report["tables"][0]["different"], 300);
    assert!(!has_shadow(world).await?);
    world.verify_topics()?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_rebuild_killed_while_it_reads_leaves_the_tables_unchanged() -> Result<()> {
    let world = damaged().await?;
    let before = names(&world).await?;
    let mut rebuild = world.rebuild()?.args(["--batch-size", "10", "--connections", "1"]).start()?;
    for _ in 0..5 {
        rebuild.logged(events::BATCH_REPLAYED).await?;
    }
    rebuild.kill().await?;
    assert_eq!(names(&world).await?, before);
    assert_repaired(&world).await
}

#[tokio::test]
async fn a_rebuild_killed_while_it_repairs_leaves_the_tables_unchanged() -> Result<()> {
    let world = damaged().await?;
    let before = names(&world).await?;
    // The last table can be read but not written, so the rebuild waits here after it has repaired the others.
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table socrata_agencies in share mode").execute(&mut *blocker).await?;
    let rebuild = world.rebuild()?.start()?;
    world.until_blocked("%insert into socrata_agencies%").await?;
    rebuild.kill().await?;
    blocker.rollback().await?;
    // The server notices the dead client when it next sends data to it.
    world
        .until(
            "select not exists (select from pg_stat_activity where datname = current_database()
             and application_name = 'catalog-consumer')",
        )
        .await?;
    assert_eq!(names(&world).await?, before);
    assert_repaired(&world).await
}

#[tokio::test]
async fn a_rebuild_killed_while_it_creates_its_tables_leaves_nothing_that_blocks_the_next() -> Result<()> {
    let world = damaged().await?;
    let before = names(&world).await?;
    // It waits before its first view, after it has created all tables.
    sqlx::raw_sql(
        "create function wait() returns event_trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(7); end $$;
         create event trigger late on ddl_command_start when tag in ('CREATE VIEW') execute function wait()",
    )
    .execute(world.pool())
    .await?;
    let mut blocker = world.pool().begin().await?;
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *blocker).await?;
    let rebuild = world.rebuild()?.start()?;
    world
        .until(
            "select exists (select from pg_stat_activity where datname = current_database()
             and wait_event = 'advisory' and application_name = 'catalog-consumer')",
        )
        .await?;
    rebuild.kill().await?;
    blocker.rollback().await?;
    sqlx::raw_sql("drop event trigger late").execute(world.pool()).await?;
    assert_eq!(names(&world).await?, before);
    assert_repaired(&world).await
}

#[tokio::test]
async fn a_rebuild_killed_after_its_commit_has_repaired_everything() -> Result<()> {
    let world = damaged().await?;
    // Blocked before it begins to read, until another session reads its shadow, which then can't be dropped.
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table positions in access exclusive mode").execute(&mut *blocker).await?;
    let rebuild = world.rebuild()?.start()?;
    world.until_blocked("%greatest(position, counted_to)%").await?;
    let mut reader = world.pool().begin().await?;
    sqlx::query("select count(*) from catalog_rebuild.socrata_hosts").fetch_one(&mut *reader).await?;
    blocker.rollback().await?;
    world.until_blocked("drop schema%").await?;
    assert!(has_shadow(&world).await?);
    rebuild.kill().await?;
    reader.rollback().await?;
    world.verify_topics()?.succeed().await?;
    assert!(!has_shadow(&world).await?);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_has_begun_is_not_interrupted() -> Result<()> {
    let world = damaged().await?;
    // A trigger that waits at the commit. The rebuild checks constraints before that, so another trigger defers it again.
    sqlx::raw_sql(
        "create table public.changes (id text);
         grant insert on public.changes to public;
         create function wait() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(7); return new; end $$;
         create constraint trigger at_commit after insert on public.changes
           deferrable initially deferred for each row execute function wait();
         create function note() returns trigger language plpgsql as
           $$ begin
             set constraints public.at_commit deferred;
             insert into public.changes values (new.id);
             return new;
           end $$;
         create constraint trigger late after update on socrata_datasets
           deferrable initially deferred for each row execute function note()",
    )
    .execute(world.pool())
    .await?;
    let mut blocker = world.pool().begin().await?;
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *blocker).await?;
    let mut rebuild = world.rebuild()?.start()?;
    world
        .until(
            "select exists (select from pg_stat_activity where datname = current_database()
             and wait_event = 'advisory' and query ilike 'commit%')",
        )
        .await?;
    rebuild.terminate()?;
    rebuild.logged(events::SHUTTING_DOWN).await?;
    blocker.rollback().await?;
    let ended = rebuild.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.summary()?["tables"][0]["different"], 300);
    world.verify_topics()?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_rebuild_reports_it_and_cleans_up() -> Result<()> {
    let world = damaged().await?;
    let before = names(&world).await?;
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table socrata_agencies in share mode").execute(&mut *blocker).await?;
    let mut rebuild = world.rebuild()?.start()?;
    rebuild.logged(events::REPLAY_STARTED).await?;

    let second = world.rebuild()?.run().await?;
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("is running on the schema catalog"), "{}", second.stderr);

    rebuild.terminate()?;
    // Until it has noticed the signal, it could still finish.
    rebuild.logged(events::SHUTTING_DOWN).await?;
    blocker.rollback().await?;
    let ended = rebuild.ended().await?;
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert!(ended.stderr.contains("the tables are unchanged"), "{}", ended.stderr);
    assert_eq!(names(&world).await?, before);
    assert!(!has_shadow(&world).await?);
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_not_a_shadow_is_not_dropped() -> Result<()> {
    let world = damaged().await?;
    sqlx::raw_sql("create schema catalog_rebuild; create table catalog_rebuild.precious (a int)")
        .execute(world.pool())
        .await?;
    let ended = world.rebuild()?.run().await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("is not a shadow"), "{}", ended.stderr);
    let there: bool = sqlx::query_scalar("select to_regclass('catalog_rebuild.precious') is not null")
        .fetch_one(world.pool())
        .await?;
    assert!(there);
    Ok(())
}
