//! Each command works with the number of connections that it needs, and reports this number if it gets fewer.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::{AssertSqlSafe, raw_sql};

async fn limit(world: &World, connections: u32) -> Result<()> {
    let alter = format!("alter role {} connection limit {connections}", world.database());
    raw_sql(AssertSqlSafe(alter)).execute(world.pool()).await?;
    Ok(())
}

#[tokio::test]
async fn one_connection_is_enough_where_no_more_are_needed() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let url = world.login("limited7Q").await?;
    limit(&world, 1).await?;
    for command in
        [["migrate"].as_slice(), &["runs", "list"], &["dead-letters", "list"], &["verify"], &["migrate"]]
    {
        world.ask(command)?.env("DATABASE_URL", &url).succeed().await?;
    }
    world.plain_run()?.args(["--dry-run"]).env("DATABASE_URL", &url).succeed().await?;

    for (program, needed) in [
        (world.plain_run()?, 4),
        (world.plain_run()?.args(["--connections", "5"]), 7),
        (world.rebuild()?, 3),
        (world.verify_topics()?, 3),
    ] {
        let ended = program.env("DATABASE_URL", &url).run().await?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let reported = format!("this command needs {needed} connections to the database at once");
        assert!(ended.stderr.contains(&reported) && ended.stderr.contains("may have 1"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn the_reported_number_of_connections_is_enough() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let url = world.login("limited7Q").await?;
    limit(&world, 3).await?;
    let consume = world.consume()?.args(["--connections", "1", "--batch-size", "20"]);
    consume.env("DATABASE_URL", &url).succeed().await?;
    limit(&world, 2).await?;
    sqlx::query("delete from socrata_hosts").execute(world.pool()).await?;
    for program in [world.rebuild()?, world.verify_topics()?] {
        program
            .args(["--connections", "1", "--batch-size", "20"])
            .env("DATABASE_URL", &url)
            .succeed()
            .await?;
    }
    assert!(world.verify_topics()?.succeed().await?.differences()?.is_empty());
    Ok(())
}
