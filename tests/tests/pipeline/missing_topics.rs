//! While a topic is missing, the consumer repeats an error.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Running, World};

/// Returns when the consumer has logged twice that a topic is missing.
async fn assert_missing_logged_twice(member: &mut Running, topic: &str) -> Result<()> {
    for _ in 0..2 {
        let reported = member.logged(events::TOPIC_MISSING).await?;
        assert_eq!(reported["level"], "ERROR");
        let error = reported["error"].as_str().unwrap_or_default();
        assert!(error.contains(&format!("there is no topic {topic}:")), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_prefix_is_an_error_that_repeats() -> Result<()> {
    let world = World::new().await?;
    let mut member = world.member()?.args(["--topic-prefix", "nobodys."]).start()?;
    assert_missing_logged_twice(&mut member, "nobodys.datasets").await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_topic_deleted_while_the_consumer_runs_is_an_error_that_repeats() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    world.migrate().await?;
    let mut member = world.member()?.start()?;
    world.until("select exists (select from runs where state = 'balanced')").await?;
    world.delete_topics(&["agencies"]).await?;
    assert_missing_logged_twice(&mut member, &world.topic("agencies")).await
}
