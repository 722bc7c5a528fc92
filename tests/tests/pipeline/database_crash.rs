//! A crash of PostgreSQL undoes commits that did not wait for the disk. Their positions go with them, so the records are
//! applied again.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{DatabaseServer, Running, World};

/// The assets of a page of 50 objects: its last id is left to the next page, which may have more objects of that id.
const PAGE: i64 = 49;

/// A database in which run 1 is complete. Of run 2 only the first page is published, and it is not applied yet. From here on,
/// a crash undoes each commit that does not wait for the disk.
async fn half_published() -> Result<(DatabaseServer, World)> {
    let mut server = DatabaseServer::start().await?;
    let world = World::on_server(&server).await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;

    let mut gate = api.hold(Matcher::pages().nth(2));
    let mut crawl = world.crawl(&api)?.args(["--concurrency", "1", "--page-size", "50"]).start()?;
    crawl.reaches(gate.arrived()).await?;
    // The first page contains the domains.
    for _ in 0..2 {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    crawl.kill().await?;
    server.hold_back_asynchronous_commits().await?;
    Ok((server, world))
}

/// The first page of run 2, applied by a running consumer.
struct HalfApplied {
    server: DatabaseServer,
    world: World,
    member: Running,
}

impl HalfApplied {
    async fn with(flags: &[&str]) -> Result<Self> {
        let (server, world) = half_published().await?;
        let member = world.member()?.args(flags.iter().copied()).start()?;
        let mut half = Self { server, world, member };
        half.world.until("select count(*) = 49 from socrata_dataset_stats where last_run = 2").await?;
        half.until_idle().await?;
        Ok(half)
    }

    /// Waits until the consumer has passed the end of the last transaction. It then has nothing to do, so that its next batch
    /// can't notice the crash.
    async fn until_idle(&mut self) -> Result<()> {
        let datasets = self.world.topic("datasets");
        let mut ends = BTreeMap::new();
        for partition in 0..2 {
            ends.insert(i64::from(partition), self.world.committed(&datasets, partition).await?.1);
        }
        while !ends.is_empty() {
            let batch = self.member.logged(events::BATCH_APPLIED).await?;
            let is_end = |partition: &i64, end: &i64| {
                batch["topic"] == datasets && batch["partition"] == *partition && batch["to"] == *end
            };
            ends.retain(|partition, end| !is_end(partition, end));
        }
        Ok(())
    }
}

/// How many assets of the page the tables contain.
async fn applied(world: &World) -> Result<i64> {
    let count = "select count(*) from socrata_dataset_stats where last_run = 2";
    Ok(sqlx::query_scalar(count).fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn a_running_consumer_applies_them_again_without_new_records() -> Result<()> {
    let mut half = HalfApplied::with(&[]).await?;
    half.server.kill().await?;
    half.server.restart().await?;
    let reported = half.member.logged(events::POSITION_WENT_BACK).await?;
    assert!(reported["position"].as_i64() < reported["expected"].as_i64(), "{reported}");
    half.world.until("select count(*) = 49 from socrata_dataset_stats where last_run = 2").await?;
    half.member.terminate()?;
    assert_eq!(half.member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn the_next_start_applies_them_again() -> Result<()> {
    let mut half = HalfApplied::with(&[]).await?;
    half.server.kill().await?;
    half.member.terminate()?;
    half.server.restart().await?;
    let lost = PAGE - applied(&half.world).await?;
    assert!(lost > 0, "the crash undid nothing");
    half.world.consume()?.succeed().await?;
    assert_eq!(applied(&half.world).await?, PAGE);
    Ok(())
}

#[tokio::test]
async fn nothing_is_undone_with_synchronous_commit() -> Result<()> {
    let mut half = HalfApplied::with(&["--synchronous-commit"]).await?;
    half.server.kill().await?;
    half.member.terminate()?;
    half.server.restart().await?;
    assert_eq!(applied(&half.world).await?, PAGE);
    Ok(())
}

#[tokio::test]
async fn nothing_is_undone_after_a_consumer_has_caught_up() -> Result<()> {
    let (mut server, world) = half_published().await?;
    world.consume()?.succeed().await?;
    server.kill().await?;
    server.restart().await?;
    assert_eq!(applied(&world).await?, PAGE);
    Ok(())
}
