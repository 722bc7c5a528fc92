//! A second producer of a region takes over, and the first stops.

use std::collections::BTreeSet;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

#[tokio::test]
async fn the_newest_producer_takes_over_and_the_first_exits_3() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    let mut gate = api.hold(Matcher::pages().nth(3));
    let mut first = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    first.reaches(gate.arrived()).await?;

    let second = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((second["run"].as_u64(), second["whole"].as_bool()), (Some(1), Some(true)));

    gate.release();
    let first = first.ended().await?;
    assert_eq!(first.code, Some(3), "{}", first.stderr);
    assert!(first.stderr.contains("another producer of region us has taken over"), "{}", first.stderr);
    let records = world.records("datasets").await?;
    assert_eq!(records.iter().filter(|record| !record.is_end_record()).count(), 1_000);
    Ok(())
}

#[tokio::test]
async fn an_impossible_command_does_not_disturb_a_running_producer() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    let mut gate = api.hold(Matcher::pages().nth(3));
    let mut first = world.crawl(&api)?.start()?;
    first.reaches(gate.arrived()).await?;
    let other = world.crawl(&api)?.args(["--datasets=false"]).run().await?;
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("--restart"), "{}", other.stderr);
    gate.release();
    let first = first.ended().await?;
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    Ok(())
}

#[tokio::test]
async fn a_producer_suspended_before_its_claim_does_not_publish_from_an_old_cursor() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    let mut gate = api.hold(Matcher::pages());
    let mut first = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    gate.pass(1);
    for _ in 0..2 {
        first.reaches(gate.arrived()).await?;
    }

    // It has fenced the first and read its cursor. Its claim waits in the client for a second (linger), so it is
    // suspended before the claim is sent, and not after.
    let lingering = ["--concurrency", "1", "--kafka-option", "linger.ms=1000"];
    let mut second = world.crawl(&api)?.args(lingering).start()?;
    second.logged(events::REGION_OPENED).await?;
    second.signal("STOP")?;
    gate.pass(1);
    first.reaches(gate.arrived()).await?;
    first.logged(events::PUBLISH_RETRIED).await?;
    first.logged(events::PAGE_PUBLISHED).await?;

    second.signal("CONT")?;
    second.logged(events::CLAIM_RETRIED).await?;
    let resumed = second.logged(events::CRAWL_STARTED).await?;
    assert_eq!(resumed["page"], 3, "{resumed}");
    gate.release();
    let (first, second) = (first.ended().await?, second.ended().await?);
    assert_eq!((first.code, second.code), (Some(3), Some(0)), "{}\n{}", first.stderr, second.stderr);
    let records = world.records("datasets").await?;
    let keys: Vec<_> = records.iter().filter(|record| !record.is_end_record()).map(|it| &it.key).collect();
    assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (500, 500));
    Ok(())
}
