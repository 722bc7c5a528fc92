//! PgBouncer in front of the database. Session pooling works although it drops or refuses startup parameters. Transaction
//! pooling is refused before anything is written.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Ended, Program, World};
use serde_json::Value;

/// Tables and indexes by schema, with their storage parameters.
const KEPT: &str = "
    select relnamespace::regnamespace::text, relname::text, relpersistence::text
    from pg_class
    where relkind in ('r', 'i', 'v') and relnamespace::regnamespace::text in ('catalog', 'public')
    order by 1, 2";

async fn kept(world: &World) -> Result<Vec<(String, String, String)>> {
    Ok(sqlx::query_as(KEPT).fetch_all(world.pool()).await?)
}

fn through(url: &str, program: Program) -> Program {
    program.env("DATABASE_URL", url)
}

/// Asserts that every kind of command works through a pooler, and leaves the tables as the migrations create them.
async fn works_through(settings: &str) -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let (_pooler, url) = world.pooler(settings).await?;
    through(&url, world.ask(&["migrate"])?).succeed().await?;
    let made = kept(&world).await?;
    assert!(
        made.len() > 30 && made.iter().all(|(schema, _, how)| schema == "catalog" && how == "p"),
        "{made:?}"
    );

    through(&url, world.plain_run()?.args(["--dry-run"])).succeed().await?;
    let summary = through(&url, world.consume()?).succeed().await?.summary()?;
    assert_eq!(summary["caught_up"], true);
    through(&url, world.ask(&["verify"])?).succeed().await?;
    assert!(through(&url, world.verify_topics()?).succeed().await?.differences()?.is_empty());
    sqlx::query("delete from socrata_hosts").execute(world.pool()).await?;
    sqlx::query("drop table socrata_agencies cascade").execute(world.pool()).await?;
    through(&url, world.rebuild()?).succeed().await?;
    assert_eq!(kept(&world).await?, made);

    world.consume_again()?.args(["--until-caught-up"]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("again", &CATALOG).await?);
    Ok(())
}

#[tokio::test]
async fn a_session_pooler_that_drops_options_works() -> Result<()> {
    // This pooler also keeps the session's state between clients.
    works_through(
        "pool_mode = session\nignore_startup_parameters = extra_float_digits,options\nserver_reset_query =",
    )
    .await
}

#[tokio::test]
async fn a_session_pooler_that_refuses_options_works() -> Result<()> {
    works_through("pool_mode = session").await
}

fn refused(ended: &Ended) {
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("pooler in transaction or statement mode"), "{}", ended.stderr);
    assert!(ended.stderr.contains("pool_mode = session"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_before_anything_is_written() -> Result<()> {
    let settings = [
        "pool_mode = transaction\nignore_startup_parameters = extra_float_digits,options",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 3",
        "pool_mode = transaction\nserver_reset_query_always = 1",
        "pool_mode = statement",
    ];
    for settings in settings {
        let world = World::unmigrated("").await?;
        let (_pooler, url) = world.pooler(settings).await?;
        refused(&through(&url, world.ask(&["migrate"])?).run().await?);
        assert_eq!(kept(&world).await?, []);
        // A live installation is not changed either.
        world.migrate().await?;
        let made = kept(&world).await?;
        refused(&through(&url, world.verify_topics()?).run().await?);
        refused(&through(&url, world.consume()?).run().await?);
        refused(&through(&url, world.ask(&["runs", "list"])?).run().await?);
        assert_eq!(kept(&world).await?, made);
    }
    Ok(())
}

#[tokio::test]
async fn a_permanent_error_of_a_pooler_ends_the_consumer() -> Result<()> {
    let world = World::unmigrated("").await?;
    let (_pooler, url) = world.pooler("pool_mode = session").await?;
    let name = world.database();
    let wrong_password = url.replacen("pooled7Q", "wrong", 1);
    let no_such_database = url.replacen(&format!("/{name}?"), &format!("/{name}_gone?"), 1);
    let no_such_user = url.replacen(&format!("//{name}:"), "//nobody:", 1);
    let parameter = format!("{url}&options=-c%20jit%3Doff");
    for (url, reason) in [
        (&wrong_password, "password authentication failed"),
        (&no_such_database, "no such database"),
        (&no_such_user, "password authentication failed"),
        (&parameter, "unsupported startup parameter"),
    ] {
        let ended = through(url, world.consume()?).run().await?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches(reason).count(), 1, "{}", ended.stderr);
        assert!(ended.logged(events::DATABASE_UNREACHABLE).is_empty(), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_pooler_with_one_session_serves_commands_that_need_one() -> Result<()> {
    let world = World::unmigrated("").await?;
    let (_pooler, url) = world.pooler("pool_mode = session\ndefault_pool_size = 1").await?;
    through(&url, world.ask(&["migrate"])?).succeed().await?;
    through(&url, world.ask(&["runs", "list"])?).succeed().await?;
    // Another client may release its connection, so a consumer waits.
    let mut member = through(&url, world.plain_run()?).start()?;
    let reported: Value = member.logged(events::DATABASE_UNREACHABLE).await?;
    let error = reported["error"].as_str().unwrap();
    assert!(error.contains("this command needs 4 connections to the database at once"), "{error}");
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
