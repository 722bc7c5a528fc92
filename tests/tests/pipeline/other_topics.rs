//! Tables belong to the topics that filled them. A command that reads other topics is refused before it applies anything.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Contents, Program, World};

const LEDGER: [&str; 3] = ["runs", "run_partitions", "verdicts"];

async fn consumed() -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok((world, api))
}

async fn contents(world: &World) -> Result<[Vec<Contents>; 2]> {
    Ok([world.contents("catalog", &CATALOG).await?, world.contents("catalog", &LEDGER).await?])
}

/// Every command that compares topics with the tables or applies them.
fn readers(world: &World) -> Result<[Program; 5]> {
    Ok([
        world.consume()?,
        world.plain_run()?,
        world.plain_run()?.args(["--dry-run"]),
        world.rebuild()?,
        world.verify_topics()?,
    ])
}

/// Asserts that each is refused with this error and leaves the tables unchanged.
async fn refused(world: &World, readers: impl IntoIterator<Item = Program>, reported: &[&str]) -> Result<()> {
    let before = contents(world).await?;
    for reader in readers {
        let ended = reader.run().await?;
        assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
        for reported in reported {
            assert!(ended.stderr.contains(reported), "{reported}: {}", ended.stderr);
        }
    }
    assert_eq!(contents(world).await?, before);
    Ok(())
}

#[tokio::test]
async fn another_prefix_is_refused_by_every_command() -> Result<()> {
    let (world, api) = consumed().await?;
    let other = World::new().await?;
    other.crawl(&api)?.succeed().await?;
    let prefix = other.topic("");
    let readers = readers(&world)?.map(|reader| reader.args(["--topic-prefix", &prefix]));
    refused(&world, readers, &["belong to the topics", &world.topic(""), &prefix, "--schema NAME"]).await?;
    let deciding =
        world.runs(["release", "--region", "us", "--run", "1", "--yes", "--topic-prefix", &prefix])?;
    refused(&world, [deciding], &["belong to the topics"]).await
}

#[tokio::test]
async fn another_cluster_is_refused_by_every_command() -> Result<()> {
    let (world, _double) = consumed().await?;
    let other = "update installation set cluster_id = 'another-cluster'";
    sqlx::query(other).execute(world.pool()).await?;
    let reported = ["belong to the Kafka cluster another-cluster", "--brokers", "catalog-consumer move"];
    refused(&world, readers(&world)?, &reported).await
}

/// Deletes `domains` and crawls again. The new topic ends at the same offsets as the old one.
async fn recreate_domains(world: &World, api: &MockServer) -> Result<()> {
    let (_, end) = world.committed(&world.topic("domains"), 0).await?;
    world.delete_topics(&["domains"]).await?;
    world.crawl(api)?.succeed().await?;
    assert_eq!(world.committed(&world.topic("domains"), 0).await?.1, end);
    Ok(())
}

#[tokio::test]
async fn a_recreated_topic_that_ends_at_the_old_position_is_refused() -> Result<()> {
    let (world, api) = consumed().await?;
    recreate_domains(&world, &api).await?;
    let reported = [&world.topic("domains"), "deleted and recreated", "catalog-consumer move --topic"];
    refused(&world, readers(&world)?, &reported).await
}

#[tokio::test]
async fn a_recreated_topic_stops_a_running_consumer() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    world.migrate().await?;
    let member = world.member()?.start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
    // So that it does not see the new topic while it is still shorter than the old one.
    member.signal("STOP")?;
    recreate_domains(&world, &api).await?;
    member.signal("CONT")?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("deleted and recreated"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn tables_that_a_rebuild_creates_belong_to_its_topics() -> Result<()> {
    let (world, _double) = consumed().await?;
    world.rebuild()?.args(["--migrate", "--schema", "fresh"]).succeed().await?;
    let bound: bool = sqlx::query_scalar(
        "select made.topic_prefix = live.topic_prefix and made.cluster_id = live.cluster_id
            and (select array_agg(topic_id order by topic, partition) from fresh.positions)
                = (select array_agg(topic_id order by topic, partition) from catalog.positions
                   where topic not like '%dead-letters')
         from fresh.installation as made, catalog.installation as live",
    )
    .fetch_one(world.pool())
    .await?;
    assert!(bound);
    Ok(())
}
