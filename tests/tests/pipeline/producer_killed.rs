//! A producer killed anywhere publishes each page exactly once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

const ASSETS: u64 = 2_000;

#[tokio::test]
async fn a_crawl_killed_many_times_publishes_each_page_once() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 8))).await?;

    // While it waits for `/domains`, before it claims the region.
    let mut gate = api.hold(Matcher::domains());
    let mut crawl = world.crawl(&api)?.start()?;
    crawl.reaches(gate.arrived()).await?;
    crawl.kill().await?;
    gate.release();

    // While both lanes wait for a page.
    let mut gate = api.hold(Matcher::pages().that(|request| request.sequence > 8));
    let mut crawl = world.crawl(&api)?.start()?;
    crawl.reaches(gate.arrived()).await?;
    crawl.reaches(gate.arrived()).await?;
    crawl.kill().await?;
    gate.release();

    // Right after a page was published, while the next one is in flight. The number of lanes varies.
    for lanes in ["1", "3", "5"] {
        let mut crawl = world.crawl(&api)?.args(["--concurrency", lanes]).start()?;
        crawl.logged(events::PAGE_PUBLISHED).await?;
        crawl.kill().await?;
    }
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), ended["whole"].as_bool()), (Some(1), Some(true)));
    assert_eq!(ended["published"]["datasets"], ASSETS);
    each_page_once(&world, ASSETS).await?;
    // Each part of the run knows the hosts of the earlier parts.
    let hosts = world.records("hosts").await?;
    let names: BTreeSet<_> =
        hosts.iter().filter(|host| !host.is_end_record()).map(|host| &host.key).collect();
    assert_eq!(names.len(), hosts.iter().filter(|host| !host.is_end_record()).count(), "a host came twice");

    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["runs"][0]["state"], "balanced");
    assert_eq!(summary["records"]["datasets"]["new"], ASSETS);
    Ok(())
}

/// Asserts that each asset is published once to readers of committed records, and that page numbers have no gap.
pub(crate) async fn each_page_once(world: &World, assets: u64) -> Result<()> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut pages = BTreeSet::new();
    for record in world.records("datasets").await? {
        pages.insert(record.headers["page"].parse::<u64>()?);
        if !record.is_end_record() {
            let place = format!("page {} at {}/{}", record.headers["page"], record.partition, record.offset);
            places.entry(record.key).or_default().push(place);
        }
    }
    assert_eq!(places.len() as u64, assets);
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "published more than once: {places:#?}");
    // Pages are numbered over all lanes and processes without a gap. 0 is `/domains`, and the last is the end of the run.
    assert!(pages.iter().copied().eq(1..=pages.len() as u64), "{pages:?}");
    Ok(())
}

#[tokio::test]
async fn a_killed_producer_delays_no_consumer_and_its_partial_page_is_never_visible() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 8))).await?;
    let mut crawl = world.crawl(&api)?.start()?;
    for _ in 0..5 {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    crawl.kill().await?;
    // Only complete pages may be visible now, because consumers may read them before the crawl continues.
    let mut crawl = world.crawl(&api)?.start()?;
    crawl.logged(events::CRAWL_STARTED).await?;
    crawl.kill().await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    let applied = summary["records"]["datasets"]["new"].as_u64().unwrap();
    assert!(applied > 0 && applied < ASSETS, "{applied}");
    let state: String = sqlx::query_scalar("select state from runs").fetch_one(world.pool()).await?;
    assert_eq!(state, "open");

    world.crawl(&api)?.succeed().await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["new"], ASSETS - applied);
    assert_eq!(summary["runs"][0]["state"], "balanced");
    Ok(())
}
