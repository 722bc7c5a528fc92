//! Fifty kills at points drawn from a seed leave each record in the topics exactly once, and the books of
//! the consumer balanced.
//!
//! The kills are shared out over three worlds side by side, for most of a kill's time is the next start's
//! wait for Kafka. Each part of a run may ask for a few pages and no more, so that a run can't end before
//! its last kill. `CATALOG_KILL_SEED` repeats a failure: what is drawn depends on the seed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use anyhow::{Context, Result, ensure};
use catalog_tests::double::{Double, Matcher, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Running, World};
use serde_json::Value;

const SEED: u64 = 20_260_101;
const KILLS: [u64; 3] = [17, 17, 16];
const ASSETS: u64 = 2_000;
const PAGE_SIZE: &str = "20";
/// What a part of a run may ask for at most: 17 times that is well below the catalog's pages.
const PAGES_A_PART: u64 = 4;

/// Where a producer is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// It has fenced the others, and not claimed the region yet.
    Opened,
    /// It has claimed the region.
    Claimed,
    /// It waits for `/domains`; for a page where the run has them already.
    DomainsHeld,
    /// It waits for a page, having got so many.
    PageHeld(u64),
    /// Records lie in the topics, and their transaction is just being committed.
    Delivered(u64),
    /// A page has just been committed.
    Published(u64),
}

/// Draws by splitmix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn point(&mut self) -> Point {
        let pages = self.below(PAGES_A_PART);
        match self.below(8) {
            0 => Point::Opened,
            1 => Point::Claimed,
            2 => Point::PageHeld(pages),
            // The claim is the first transaction of a part, and its pages are the next ones.
            3..=5 => Point::Delivered(1 + pages),
            _ => Point::Published(1 + pages),
        }
    }
}

#[tokio::test]
async fn fifty_kills_leave_each_record_once() -> Result<()> {
    let seed = env::var("CATALOG_KILL_SEED").map_or(Ok(SEED), |text| text.parse())?;
    let [one, two, three] = KILLS;
    let worlds = tokio::join!(killed(seed, one), killed(seed + 1, two), killed(seed + 2, three));
    for (outcome, seed) in [worlds.0, worlds.1, worlds.2].into_iter().zip(seed..) {
        outcome.with_context(|| format!("with CATALOG_KILL_SEED={seed}"))?;
    }
    Ok(())
}

/// One run of one world, killed `kills` times and then crawled to its end.
async fn killed(seed: u64, kills: u64) -> Result<()> {
    let world = World::new().await?;
    let double = Double::start(Options::new(Synthetic::new(ASSETS, 8))).await?;
    let mut draw = Draw(seed);
    for kill in 0..kills {
        let point = if kill == 0 { Point::DomainsHeld } else { draw.point() };
        let lanes = (1 + draw.below(5)).to_string();
        let start = world.crawl(&double)?.args(["--page-size", PAGE_SIZE, "--concurrency", &lanes]);
        let part = kill_at(point, start.start()?, &double).await;
        part.with_context(|| format!("kill {kill}, at {point:?} with {lanes} lanes"))?;
    }
    let ended = world.crawl(&double)?.args(["--page-size", PAGE_SIZE]).succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), ended["whole"].as_bool()), (Some(1), Some(true)));
    each_record_once(&world).await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["runs"][0]["state"], "balanced");
    assert_eq!(summary["records"]["datasets"]["new"], ASSETS);
    Ok(())
}

/// Lets a producer come to a point and kills it there.
async fn kill_at(point: Point, mut crawl: Running, double: &Double) -> Result<()> {
    let mut domains = double.hold(Matcher::domains());
    let mut pages = double.hold(Matcher::pages());
    if !matches!(point, Point::DomainsHeld) {
        domains.pass(1);
    }
    match point {
        Point::Opened => drop(crawl.logged("region opened").await?),
        Point::Claimed => drop(crawl.logged("crawling").await?),
        Point::DomainsHeld => drop(crawl.reaches(domains.arrived()).await?),
        Point::PageHeld(passed) => {
            pages.pass(usize::try_from(passed)?);
            for _ in 0..=passed {
                crawl.reaches(pages.arrived()).await?;
            }
        }
        Point::Delivered(times) => {
            pages.pass(usize::try_from(times)?);
            times_logged(&mut crawl, "records delivered", times).await?;
        }
        Point::Published(times) => {
            pages.pass(usize::try_from(times)?);
            times_logged(&mut crawl, "page published", times).await?;
        }
    }
    crawl.kill().await
}

async fn times_logged(crawl: &mut Running, message: &str, times: u64) -> Result<()> {
    for _ in 0..times {
        crawl.logged(message).await?;
    }
    Ok(())
}

/// Every topic holds what its markers say, nothing twice, and each asset once.
async fn each_record_once(world: &World) -> Result<()> {
    let mut pages = BTreeSet::new();
    for topic in ["datasets", "domains", "hosts", "agencies"] {
        let mut published: BTreeMap<i32, u64> = BTreeMap::new();
        let mut told = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for record in world.records(topic).await? {
            let page: u64 = record.headers["page"].parse()?;
            pages.insert(page);
            if record.is_marker() {
                let marker: Value = serde_json::from_slice(&record.value)?;
                ensure!(told.insert(record.partition, marker["published"].as_u64()).is_none(), "two markers");
                continue;
            }
            *published.entry(record.partition).or_default() += 1;
            // A host or an agency is said again by each process that sees it, but never by the same page.
            let again = if matches!(topic, "hosts" | "agencies") { page } else { 0 };
            ensure!(seen.insert((record.key.clone(), again)), "{} is in {topic} twice", record.key);
        }
        let sent = |partition| Some(published.get(partition).copied().unwrap_or_default());
        ensure!(
            told.iter().all(|(partition, told)| sent(partition) == *told),
            "{topic}: {told:?} {published:?}"
        );
        ensure!(topic != "datasets" || seen.len() as u64 == ASSETS, "{} assets", seen.len());
    }
    // One counter over all lanes and parts, without a gap: 0 is `/domains`, the last the markers'.
    ensure!(pages.iter().copied().eq(0..pages.len() as u64), "{pages:?}");
    Ok(())
}
