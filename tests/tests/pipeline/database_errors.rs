//! Errors of the database are reported once, with the address and in plain words. An unusable `DATABASE_URL`
//! is refused.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, World};

#[track_caller]
fn reported_once(world: &World, ended: &Ended, words: &str, user: &str) {
    let reported = ended.error().unwrap_or_default();
    assert_eq!(reported.matches(words).count(), 1, "{}", ended.stderr);
    let place = format!("database {} at ", world.database());
    assert!(reported.contains(&place) && reported.contains(&format!(", user {user})")), "{reported}");
    for noise in ["at line", "error returned from database", "7Q"] {
        assert!(!reported.contains(noise), "{reported}");
    }
}

#[tokio::test]
async fn database_errors_are_shown_once_with_the_address() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let (url, name) = (world.login("telling7Q").await?, world.database());
    let with_url = |program: catalog_tests::world::Program| program.env("DATABASE_URL", &url);
    with_url(world.ask(&["migrate"])?).succeed().await?;

    sqlx::query("alter table socrata_hosts rename to elsewhere").execute(world.pool()).await?;
    let ended = with_url(world.consume()?).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    reported_once(&world, &ended, "relation \"socrata_hosts\" does not exist", name);

    sqlx::raw_sql("create schema clash; create table clash.positions (other int)")
        .execute(world.pool())
        .await?;
    let ended = with_url(world.ask(&["migrate", "--schema", "clash"])?).run().await?;
    reported_once(&world, &ended, "relation \"positions\" already exists", name);
    assert!(ended.stderr.contains("migration 2"), "{}", ended.stderr);

    let other = url.replacen(&format!("//{name}:"), "//nobody:", 1);
    let ended = world.ask(&["verify"])?.env("DATABASE_URL", &other).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    reported_once(&world, &ended, "nobody\" does not exist", "nobody");
    Ok(())
}

#[tokio::test]
async fn an_unusable_database_url_is_refused_by_name() -> Result<()> {
    let world = World::unmigrated("").await?;
    for (url, named) in [
        ("mysql://me:url7Q@db/catalog", "neither postgres nor postgresql"),
        ("postgres://me:url7Q@db1:5432,db2:5432/catalog", "several hosts"),
        ("postgres://me:url7Q@db/catalog?sslmode=on", "unknown sslmode"),
    ] {
        let ended = world.ask(&["verify"])?.env("DATABASE_URL", url).run().await?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("DATABASE_URL") && ended.stderr.contains(named), "{}", ended.stderr);
        assert!(!ended.stderr.contains("7Q"), "{}", ended.stderr);
    }
    Ok(())
}
