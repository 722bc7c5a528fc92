//! docs/how-to/delete-everything.md, on topics, a group, tables and roles of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use catalog_tests::docs::Page;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use rdkafka::consumer::{BaseConsumer, Consumer};

pub(super) const PAGE: &str = "docs/how-to/delete-everything.md";

/// A world after a crawl, whose roles belong to no other one.
async fn used() -> Result<World> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(60, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    world.migrate().await?;
    world.grant_roles().await?;
    world.consume()?.succeed().await?;
    Ok(world)
}

/// The names of this world's topics in Kafka.
async fn topics(world: &World) -> Result<Vec<String>> {
    let (kafka, prefix) = (world.kafka(), world.topic(""));
    let ask = move || {
        let consumer: BaseConsumer = kafka.create()?;
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(30))?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        anyhow::Ok(names.filter(|name| name.starts_with(&prefix)).collect())
    };
    tokio::task::spawn_blocking(ask).await?
}

/// The numbers of this world's schemas and roles.
async fn schemas_and_roles(world: &World) -> Result<(i64, i64)> {
    let numbers = "select (select count(*) from pg_namespace where nspname like 'catalog%'),
        (select count(*) from pg_roles where starts_with(rolname, $1))";
    Ok(sqlx::query_as(numbers).bind(world.database()).fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn deleting_everything_leaves_nothing() -> Result<()> {
    let world = used().await?;
    assert_eq!((topics(&world).await?.len(), schemas_and_roles(&world).await?), (7, (1, 3)));
    world.consumer_groups(&["--describe"]).await?;
    world.run_page(&Page::read(PAGE)?, &[]).await?;
    assert_eq!(topics(&world).await?, Vec::<String>::new());
    let group = world.consumer_groups(&["--describe"]).await;
    let error = group.err().context("the group is still there")?.to_string();
    assert!(error.contains("not found"), "{error}");
    assert_eq!(schemas_and_roles(&world).await?, (0, 0));
    Ok(())
}
