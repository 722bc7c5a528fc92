//! A consumer stops before it writes if its tables were replaced, migrated, or written by a newer build.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

/// The newest run with applied records, and the number of dead letters.
async fn applied(world: &World) -> Result<(i64, i64)> {
    let query =
        "select (select max(last_run) from socrata_dataset_stats), (select count(*) from dead_letters)";
    Ok(sqlx::query_as(query).fetch_one(world.pool()).await?)
}

/// Changes the tables of a running consumer, and returns the error with which it ends.
async fn stopped_by(change: &'static str) -> Result<String> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.migrate().await?;
    let member = world.member()?.start()?;
    world.crawl(&api)?.succeed().await?;
    world.until("select count(*) = 100 from socrata_dataset_stats").await?;
    world.until("select count(*) = 1 from runs where state = 'balanced'").await?;
    sqlx::raw_sql(change).execute(world.pool()).await?;
    world.crawl(&api)?.succeed().await?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(applied(&world).await?, (1, 0));
    Ok(ended.stderr)
}

#[tokio::test]
async fn replaced_tables_stop_a_consumer() -> Result<()> {
    let error = stopped_by("update installation set identity = gen_random_uuid()").await?;
    assert!(error.contains("other tables than at the start"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_migration_of_a_newer_build_stops_a_consumer() -> Result<()> {
    let migration = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'of a newer build', true, '', 0)";
    let error = stopped_by(migration).await?;
    assert!(error.contains("upgrade this program"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_consumer_does_not_start_on_tables_that_a_newer_build_has_migrated() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let migration = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'of a newer build', true, '', 0)";
    sqlx::raw_sql(migration).execute(world.pool()).await?;
    for program in [world.plain_run()?, world.plain_run()?.args(["--migrate"]), world.ask(&["migrate"])?] {
        let ended = program.run().await?;
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("migrated by a newer build"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn rows_of_a_newer_build_stop_a_consumer() -> Result<()> {
    let rows = "update socrata_dataset_stats set content_hash = set_byte(content_hash, 0, 200)";
    let error = stopped_by(rows).await?;
    assert!(error.contains("was written by a newer build (form 200"), "{error}");
    Ok(())
}
