//! Impossible commands are refused at the start, with an error that explains what to do.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use rdkafka::admin::{NewTopic, TopicReplication};

#[tokio::test]
async fn a_database_that_was_not_migrated_is_refused_with_the_command_to_run() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    let ended = world.plain_run()?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("run `catalog-consumer migrate` first"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_missing_database_url_is_refused_with_an_example() -> Result<()> {
    let world = World::new().await?;
    let ended = world.consume()?.env("DATABASE_URL", "").run().await?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("such as postgres://"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn log_levels_that_can_not_be_parsed_are_refused() -> Result<()> {
    let world = World::new().await?;
    for program in [world.status()?, world.consume()?] {
        let ended = program.env("RUST_LOG", "catalog_producer=loud").run().await?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("RUST_LOG takes levels"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn topics_that_do_not_exist_yet_are_named() -> Result<()> {
    let world = World::new().await?;
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("there is no topic {}", world.topic("datasets"))),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_topic_that_deletes_records_is_refused() -> Result<()> {
    let world = World::new().await?;
    let topic = world.topic("datasets");
    let deletes = NewTopic::new(&topic, 2, TopicReplication::Fixed(1)).set("cleanup.policy", "delete");
    world.create_topics(&[deletes]).await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    let ended = world.crawl(&api)?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("cleanup.policy=delete"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn recreated_topics_under_old_tables_are_refused() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    sqlx::query("update positions set position = position + 1000").execute(world.pool()).await?;
    // A position beyond the end must not count as caught up.
    for program in [world.member()?, world.consume()?] {
        let ended = program.run().await?;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("was recreated"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_that_needs_more_replicas_than_it_has_is_refused() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    let name = world.topic("hosts");
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    let topic = topic.set("cleanup.policy", "compact").set("max.message.bytes", "8388608");
    world.create_topics(&[topic.set("min.insync.replicas", "2")]).await?;
    let refused = world.crawl(&api)?.run().await?;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    let error = refused.error()?;
    assert!(
        error.contains(&name) && error.contains("min.insync.replicas=2, which refuses every record"),
        "{error}"
    );
    Ok(())
}
