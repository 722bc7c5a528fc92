//! Recreated topics, while something of the old ones was kept.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::History;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Sent, World};

#[tokio::test]
async fn the_decision_about_an_older_run_of_the_same_number_is_not_applied() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let old = history.world.records("verdicts").await?.remove(0);
    history
        .world
        .delete_topics(&["datasets", "domains", "hosts", "agencies", "cursors", "dead-letters"])
        .await?;

    // Run 1 again, with an object without a usable key.
    history.catalog.put_as("5zzz-zzzz", "a.example", r#"{"resource":{"name":"no id"}}"#);
    history.crawl(&[]).await?;
    let again = || anyhow::Ok(history.world.consume_again()?.args(["--until-caught-up"]));
    again()?.succeed().await?;
    let held = "select count(*) = 1 and bool_and(state = 'held') from again.runs";
    assert!(sqlx::query_scalar::<_, bool>(held).fetch_one(history.world.pool()).await?);
    let last = history.world.records("verdicts").await?.pop().map(|record| record.value).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&last)?["judged"]["state"], "held");

    // Nor if it is published again.
    let (key, value) = (Some(old.key.as_bytes()), Some(old.value.as_slice()));
    history.world.send("verdicts", Sent { key, value, ..Sent::default() }).await?;
    again()?.succeed().await?;
    assert!(sqlx::query_scalar::<_, bool>(held).fetch_one(history.world.pool()).await?);
    Ok(())
}

#[tokio::test]
async fn a_recreated_topic_under_old_tables_is_refused() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 2))).await?;
    let small = MockServer::start(Options::new(Synthetic::new(20, 1))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    world.delete_topics(&["datasets"]).await?;
    world.crawl(&small)?.succeed().await?;
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("were deleted and recreated"), "{}", ended.stderr);
    assert!(ended.stderr.contains("datasets (its id was"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_recreated_topic_stops_a_running_consumer() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 2))).await?;
    let small = MockServer::start(Options::new(Synthetic::new(20, 1))).await?;
    world.crawl(&api)?.succeed().await?;
    let member = world.member()?.start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
    world.delete_topics(&["datasets"]).await?;
    world.crawl(&small)?.succeed().await?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let remade =
        ended.stderr.contains("was recreated") || ended.stderr.contains("were deleted and recreated");
    assert!(remade && ended.stderr.contains("datasets"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_decision_that_no_database_could_store_is_ignored() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.crawl(&[]).await?;
    let value = r#"{"region":"us","run":1,"state":"held","reason":"a\u0000b","mode":"full","ended_at":null,
        "decided_at":"2026-01-01T00:00:00Z"}"#;
    let (key, value) = (Some("us/1".as_bytes()), Some(value.as_bytes()));
    history.world.send("verdicts", Sent { key, value, ..Sent::default() }).await?;
    let ended = history.world.consume()?.succeed().await?;
    assert!(!ended.logged(events::DECISION_UNREADABLE).is_empty(), "{}", ended.stderr);
    assert_eq!(history.states().await?, [(1, "balanced".into())]);
    Ok(())
}
