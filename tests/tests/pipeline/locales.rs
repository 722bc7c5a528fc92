//! The database's locale has no effect, and encodings other than UTF-8 are refused.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

#[tokio::test]
async fn a_database_with_a_turkish_locale_has_the_same_rows() -> Result<()> {
    let world = World::unmigrated("locale_provider icu icu_locale 'tr' template template0").await?;
    let lower: String = sqlx::query_scalar("select lower('I')").fetch_one(world.pool()).await?;
    assert_eq!(lower, "ı", "the database has to be Turkish");
    let api = MockServer::start(Options::new(Synthetic::new(300, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    world.ask(&["verify"])?.succeed().await?;
    assert!(world.verify_topics()?.succeed().await?.differences()?.is_empty());

    sqlx::query("update socrata_datasets set permalink = upper(permalink collate \"C\")")
        .execute(world.pool())
        .await?;
    // The check compares the scheme as it is, so it is lower case again.
    sqlx::query("update socrata_datasets set permalink = replace(permalink, 'HTTPS', 'https')")
        .execute(world.pool())
        .await?;
    let strange: i64 = sqlx::query_scalar("select count(*) from active_datasets where host ~ '[^a-z0-9.-]'")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(strange, 0);
    let ended = world.ask(&["verify", "--json"])?.run().await?;
    assert!(!ended.stdout.contains("has no row for"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn another_encoding_is_refused_before_the_first_migration() -> Result<()> {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let world =
            World::unmigrated(&format!("encoding '{encoding}' locale 'C' template template0")).await?;
        let ended = world.ask(&["migrate"])?.run().await?;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("encoding is {encoding}")), "{}", ended.stderr);
        assert!(ended.stderr.contains("encoding 'UTF8'"), "{}", ended.stderr);
        let made: bool = sqlx::query_scalar("select to_regnamespace('catalog') is not null")
            .fetch_one(world.pool())
            .await?;
        assert!(!made);
    }
    Ok(())
}
