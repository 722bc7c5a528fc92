//! After fifty kills of one crawl, at points drawn from a seed, each record is in the topics exactly once, and the
//! consumer's ledger balances.
//!
//! Each part of the run may request only a few pages, so that the run can't end before its last kill. That kill
//! happens in the transaction that ends the run. `CATALOG_KILL_SEED` repeats a failure, because all draws depend on
//! the seed only.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Running, World};
use serde_json::Value;

use crate::draw::Draw;

const SEED: u64 = 20_260_101;
const KILLS: u64 = 50;
const ASSETS: u64 = 2_500;
const PAGE_SIZE: &str = "10";
/// The most pages that one part of the run may request. 49 times this is well below the catalog's pages.
const PAGES_A_PART: u64 = 4;

/// Where a producer is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// It has fenced other producers, and has not claimed the region yet.
    Opened,
    /// It has claimed the region.
    Claimed,
    /// It waits for `/domains`, or for a page if the run already has the domains.
    DomainsHeld,
    /// It waits for a page after this many.
    PageHeld(u64),
    /// Records are in the topics, and their transaction is about to be committed. If no page is requested, that is the
    /// claim, otherwise the transaction after it. Several of the requested pages may be in it.
    Delivered(u64),
    /// A page has just been committed.
    Published(u64),
    /// All pages are published, and the end-of-run records follow.
    Ending,
    /// The end-of-run records are in the topics, and their transaction is about to be committed.
    EndDelivered,
}

impl Draw {
    fn point(&mut self, kill: u64) -> Point {
        if kill + 1 == KILLS {
            return if self.below(2) == 0 { Point::Ending } else { Point::EndDelivered };
        }
        if kill == 0 {
            return Point::DomainsHeld;
        }
        let pages = self.below(PAGES_A_PART);
        match self.below(8) {
            0 => Point::Opened,
            1 => Point::Claimed,
            2 => Point::PageHeld(pages),
            3..=5 => Point::Delivered(pages),
            _ => Point::Published(1 + pages),
        }
    }
}

#[tokio::test]
async fn fifty_kills_leave_each_record_once() -> Result<()> {
    let seed = env::var("CATALOG_KILL_SEED").map_or(Ok(SEED), |text| text.parse())?;
    killed(seed).await.with_context(|| format!("with CATALOG_KILL_SEED={seed}"))
}

/// Kills one run many times, and then crawls it to its end.
async fn killed(seed: u64) -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 8))).await?;
    let mut draw = Draw(seed);
    for kill in 0..KILLS {
        let point = draw.point(kill);
        let lanes = (1 + draw.below(5)).to_string();
        let start = world.crawl(&api)?.args(["--page-size", PAGE_SIZE, "--concurrency", &lanes]);
        let part = kill_at(point, start.start()?, &api).await;
        part.with_context(|| format!("kill {kill}, at {point:?} with {lanes} lanes"))?;
    }
    if !has_ended(&world).await? {
        let ended = world.crawl(&api)?.args(["--page-size", PAGE_SIZE]).succeed().await?.summary()?;
        ensure!((&ended["run"], &ended["whole"]) == (&1.into(), &true.into()), "{ended}");
    }
    each_record_once(&world).await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    ensure!(summary["runs"][0]["state"] == "balanced", "{summary}");
    ensure!(summary["records"]["datasets"]["new"] == ASSETS, "{summary}");
    Ok(())
}

/// Whether the last kill came after the commit that it was to prevent, so that the run has ended.
async fn has_ended(world: &World) -> Result<bool> {
    let reported = world.status()?.args(["--region", "us", "--json"]).succeed().await?.summary()?;
    Ok(reported["regions"][0]["runs"][0]["state"] == "ended")
}

/// Kills a producer when it reaches a point.
async fn kill_at(point: Point, mut crawl: Running, api: &MockServer) -> Result<()> {
    let mut domains = api.hold(Matcher::domains());
    let mut pages = api.hold(Matcher::pages());
    if !matches!(point, Point::DomainsHeld) {
        domains.pass(1);
    }
    match point {
        Point::Opened => drop(crawl.logged(events::REGION_OPENED).await?),
        Point::Claimed => drop(crawl.logged(events::CRAWL_STARTED).await?),
        Point::DomainsHeld => drop(crawl.reaches(domains.arrived()).await?),
        Point::PageHeld(passed) => {
            pages.pass(usize::try_from(passed)?);
            for _ in 0..=passed {
                crawl.reaches(pages.arrived()).await?;
            }
        }
        Point::Delivered(passed) => {
            pages.pass(usize::try_from(passed)?);
            times_logged(&mut crawl, events::RECORDS_DELIVERED, 1 + u64::from(passed > 0)).await?;
        }
        Point::Published(times) => {
            pages.pass(usize::try_from(times)?);
            times_logged(&mut crawl, events::PAGE_PUBLISHED, times).await?;
        }
        Point::Ending | Point::EndDelivered => {
            pages.release();
            crawl.logged(events::RUN_ENDING).await?;
            times_logged(&mut crawl, events::RECORDS_DELIVERED, (point == Point::EndDelivered).into())
                .await?;
        }
    }
    crawl.kill().await
}

async fn times_logged(crawl: &mut Running, event: &str, times: u64) -> Result<()> {
    for _ in 0..times {
        crawl.logged(event).await?;
    }
    Ok(())
}

/// Asserts that every topic contains the counts of its end-of-run records, no duplicates, and each asset once.
async fn each_record_once(world: &World) -> Result<()> {
    let mut pages = BTreeSet::new();
    for topic in ["datasets", "domains", "hosts", "agencies"] {
        let mut published: BTreeMap<i32, u64> = BTreeMap::new();
        let mut reported = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for record in world.records(topic).await? {
            let page: u64 = record.headers["page"].parse()?;
            pages.insert(page);
            if record.is_end_record() {
                let marker: Value = serde_json::from_slice(&record.value)?;
                ensure!(
                    reported.insert(record.partition, marker["published"].as_u64()).is_none(),
                    "two markers"
                );
                continue;
            }
            *published.entry(record.partition).or_default() += 1;
            // Each process publishes a host or an agency once, so only the same page must not repeat it.
            let again = if matches!(topic, "hosts" | "agencies") { page } else { 0 };
            ensure!(seen.insert((record.key.clone(), again)), "{} is in {topic} twice", record.key);
        }
        let sent = |partition| Some(published.get(partition).copied().unwrap_or_default());
        ensure!(
            reported.iter().all(|(partition, reported)| sent(partition) == *reported),
            "{topic}: {reported:?} {published:?}"
        );
        ensure!(topic != "datasets" || seen.len() as u64 == ASSETS, "{} assets", seen.len());
    }
    // Pages are numbered over all lanes and parts without a gap. 0 is `/domains`, and the last is the end of the run.
    ensure!(pages.iter().copied().eq(0..pages.len() as u64), "{pages:?}");
    Ok(())
}
