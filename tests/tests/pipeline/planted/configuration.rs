//! Settings that are wrong or missing, and tables that don't fit the settings.

use anyhow::Result;
use catalog_tests::history::History;
use catalog_tests::world::World;

use super::find;

const CONSUMER: &str = "catalog-consumer doctor";
const PRODUCER: &str = "catalog-producer doctor --region us";

#[tokio::test]
async fn settings_that_are_missing_or_wrong() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator()?.env("DATABASE_URL", "").env("CATALOG_API_URL", "no URL");
    for (program, check) in [(CONSUMER, "configuration"), (CONSUMER, "database"), (PRODUCER, "configuration")]
    {
        let found = find(&operator, program, check, "problem").await?;
        let shown = operator.next(&found).await?;
        assert_eq!(shown.code, Some(0), "{found}\n{}", shown.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn tables_of_other_topics_or_of_a_newer_build() -> Result<()> {
    let history = History::new(&[("a.example", 30)]).await?;
    history.run(&[]).await?;
    let operator = history.world.operator()?.env("CATALOG_API_URL", &history.api.url());
    let other = history.world.operator()?.env("CATALOG_TOPIC_PREFIX", "other.");
    let found = find(&other, CONSUMER, "tables_and_topics", "problem").await?;
    assert_eq!(other.next(&found).await?.code, Some(0));
    let found = find(&other, "catalog-consumer check", "kafka", "critical").await?;
    assert_eq!(other.next(&found).await?.code, Some(1));

    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'of a newer build', true, '', 0)";
    sqlx::query(newer).execute(history.world.pool()).await?;
    let found = find(&operator, CONSUMER, "schema", "problem").await?;
    assert_eq!(operator.next(&found).await?.code, Some(0));

    // The producer creates missing topics, and so only warns.
    history.world.delete_topics(&["agencies"]).await?;
    let found = find(&operator, PRODUCER, "topics", "warning").await?;
    let listed = operator.next(&found).await?;
    assert!(
        listed.code == Some(0) && listed.stdout.contains(&history.world.topic("hosts")),
        "{}",
        listed.stdout
    );
    Ok(())
}
