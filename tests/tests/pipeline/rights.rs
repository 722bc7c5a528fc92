//! A command names a missing right, and deploy/roles.sql grants the rights that are needed.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::{AssertSqlSafe, raw_sql};

async fn execute(world: &World, statements: String) -> Result<()> {
    raw_sql(AssertSqlSafe(statements)).execute(world.pool()).await?;
    Ok(())
}

#[tokio::test]
async fn migrating_needs_no_right_on_the_database_if_the_schema_exists() -> Result<()> {
    let world = World::unmigrated("").await?;
    let url = world.user("_owner", "").await?;
    let ended = world.ask(&["migrate"])?.env("DATABASE_URL", &url).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("needs CREATE on the database"), "{}", ended.stderr);
    execute(&world, format!("create schema catalog authorization {}_owner", world.database())).await?;
    world.ask(&["migrate"])?.env("DATABASE_URL", &url).succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_user_without_usage_is_shown_the_grant() -> Result<()> {
    let world = World::unmigrated("").await?;
    world.migrate().await?;
    let url = world.user("_reader", "").await?;
    let name = world.database();
    for command in [["verify"].as_slice(), &["runs", "list"], &["migrate"]] {
        let ended = world.ask(command)?.env("DATABASE_URL", &url).run().await?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let grant = format!("GRANT USAGE ON SCHEMA \"catalog\" TO \"{name}_reader\"");
        assert!(ended.error()?.contains(&grant), "{}", ended.stderr);
        assert!(!ended.stderr.contains("run `catalog-consumer migrate`"), "{}", ended.stderr);
    }
    // Then the next missing right is named.
    execute(&world, format!("grant usage on schema catalog to {name}_reader")).await?;
    let ended = world.ask(&["runs", "list"])?.env("DATABASE_URL", &url).run().await?;
    assert!(ended.stderr.contains("needs SELECT on _sqlx_migrations"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_role_that_may_create_roles_and_owns_the_database_can_run_the_script() -> Result<()> {
    let world = World::unmigrated("").await?;
    let (creator, name) = (world.user("_creator", "createrole").await?, world.database());
    execute(&world, format!("alter database {name} owner to {name}_creator")).await?;
    // Again, because it may be run at any time.
    for _ in 0..2 {
        world.grant_roles_as(&creator).await?;
    }
    let owner: String =
        sqlx::query_scalar("select nspowner::regrole::text from pg_namespace where nspname = 'catalog'")
            .fetch_one(world.pool())
            .await?;
    assert_eq!(owner, format!("{name}_owner"));
    Ok(())
}

#[tokio::test]
async fn the_script_of_roles_grants_each_command_the_rights_it_needs() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let owner = world.user("_owner", "").await?;
    let writer = world.user("_writer", "").await?;
    let reader = world.user("_reader", "").await?;
    // The script must create the schema itself, and may run again when there are tables.
    world.grant_roles().await?;
    world.ask(&["migrate"])?.env("DATABASE_URL", &owner).succeed().await?;
    world.grant_roles().await?;

    // `--migrate` finds nothing to do.
    world.plain_run()?.args(["--dry-run"]).env("DATABASE_URL", &writer).succeed().await?;
    world.consume()?.env("DATABASE_URL", &writer).succeed().await?;
    world.ask(&["dead-letters", "replay", "--all"])?.env("DATABASE_URL", &writer).succeed().await?;
    world.verify_topics()?.env("DATABASE_URL", &writer).succeed().await?;
    world.rebuild()?.env("DATABASE_URL", &writer).succeed().await?;

    for command in [["verify"].as_slice(), &["runs", "list"], &["dead-letters", "list"]] {
        world.ask(command)?.env("DATABASE_URL", &reader).succeed().await?;
    }
    let ended = world.ask(&["dead-letters", "discard", "--all"])?.env("DATABASE_URL", &reader).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("permission denied for table dead_letters"), "{}", ended.stderr);
    Ok(())
}
