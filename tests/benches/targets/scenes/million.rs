//! The effect of size: crawls of a small and of a large synthetic catalog, and commands that compare whole tables.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

use crate::bench::Bench;
use crate::program::{consume, crawl, run};
use crate::scenes::replays::{add_blocking_rows, blocked};

const SIZES: [u32; 2] = [100_000, 1_000_000];

/// Measures each size once.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    for assets in SIZES {
        bench.progress(&format!("a catalog of {assets} assets"))?;
        let world = World::new().await?;
        let api = MockServer::start(Options::new(Synthetic::new(u64::from(assets), 40)).gzip(false)).await?;
        let size = usize::try_from(assets)?;
        let crawled = crawl(&world, &api).await?;
        bench.producer_peak(size, &crawled);
        let consumed = consume(&world, "catalog", 2).await?;
        bench.consumer_peak(size, &consumed.run);
        let verified = run(world.verify_topics()?).await?;
        let rebuilt = run(world.rebuild()?).await?;
        [&verified, &rebuilt].into_iter().for_each(|run| bench.replay_peak(run));
        let blocks = [&rebuilt, &verified].map(|run| blocked(&run.summary));
        let [rebuild, verify] = blocks;
        add_blocking_rows(bench, u64::from(assets), vec![rebuild?], vec![verify?]);
    }
    Ok(())
}
