//! Records that this build can't parse.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

/// Adds a record of another writer to the topic `hosts`.
async fn add_host(world: &World, schema: &str, value: &str) -> Result<()> {
    let producer: FutureProducer = world.kafka().create()?;
    let pairs = [
        ("kind", "hosts"),
        ("schema", schema),
        ("region", "us"),
        ("run", "1"),
        ("page", "9"),
        ("observed_at", "2026-01-01T00:00:00Z"),
    ];
    let headers = pairs.iter().fold(OwnedHeaders::new(), |headers, &(key, value)| {
        headers.insert(Header { key, value: Some(value) })
    });
    let topic = world.topic("hosts");
    let record = FutureRecord::to(&topic).partition(0).key("us/new.example").payload(value).headers(headers);
    producer.send_result(record).map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;
    Ok(())
}

async fn crawled() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    Ok(world)
}

#[tokio::test]
async fn a_newer_schema_blocks_only_its_own_partition() -> Result<()> {
    let world = crawled().await?;
    world.migrate().await?;
    add_host(&world, "2", "whatever comes to be").await?;
    let mut member = world.member()?.start()?;
    let warning = member.logged(events::NEWER_SCHEMA_WAITS).await?;
    assert_eq!(
        (warning["schema"].as_u64(), warning["topic"].as_str()),
        (Some(2), Some(world.topic("hosts").as_str()))
    );
    let offset = warning["offset"].as_i64().unwrap();
    // The end-of-run record precedes it in the partition, so the whole run is applied.
    world.until("select exists (select from runs where state = 'balanced')").await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    let position: i64 = sqlx::query_scalar("select position from positions where topic like '%hosts'")
        .fetch_one(world.pool())
        .await?;
    assert!(position <= offset, "{position} is beyond the record at {offset}");
    Ok(())
}

#[tokio::test]
async fn until_caught_up_fails_at_a_newer_schema_and_gives_the_reason() -> Result<()> {
    let world = crawled().await?;
    add_host(&world, "2", "whatever comes to be").await?;
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let (topic, error) = (world.topic("hosts"), ended.error()?);
    let reported = format!("{topic}[0] has a record of schema 2 at offset ");
    assert!(error.starts_with(&reported) && error.contains("reads schemas up to 1"), "{error}");
    // All other records are applied.
    let state: String = sqlx::query_scalar("select state from runs").fetch_one(world.pool()).await?;
    assert_eq!(state, "balanced");
    // Without --until-caught-up it waits and logs the reason again.
    let mut member = world.member()?.start()?;
    let again = member.logged(events::NEWER_SCHEMA_STILL_WAITS).await?;
    assert_eq!((&again["schema"], &again["topic"]), (&2.into(), &topic.into()));
    Ok(())
}

#[tokio::test]
async fn an_unreadable_record_is_logged_with_the_reason() -> Result<()> {
    let world = crawled().await?;
    add_host(&world, "1", r#"{"host":"other.example","domain":"new.example"}"#).await?;
    let mut member = world.member()?.start()?;
    let reported = member.logged(events::DEAD_LETTERS_WRITTEN).await?;
    let first = reported["first"].as_str().unwrap();
    let name = format!("of {}[0], key \"us/new.example\"", world.topic("hosts"));
    assert!(first.contains(&name) && first.contains("the value disagrees with the key"), "{first}");
    Ok(())
}
