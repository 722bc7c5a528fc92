//! A restarted Kafka may have lost the end of a transaction, so its outcome stays unknown.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

const ASSETS: u64 = 500;

#[tokio::test]
async fn a_run_with_a_page_in_doubt_is_discarded_and_a_new_one_starts() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    let mut first = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    for _ in 0..3 {
        first.logged(events::PAGE_PUBLISHED).await?;
    }
    first.kill().await?;
    let cursors = world.records("cursors").await?;
    let last = cursors.last().context("it was crawling")?;
    let lost = world.send_and_leave_open("cursors", last.key.clone(), last.value.clone()).await?;

    let mut second = world.crawl(&api)?.start()?;
    let warning = second.logged(events::RUN_DISCARDED).await?;
    assert_eq!((warning["level"].as_str(), warning["run"].as_u64()), (Some("WARN"), Some(1)));
    let ended = second.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((&ended.summary()?["run"], &ended.summary()?["whole"]), (&2.into(), &true.into()));
    drop(lost);

    world.consume()?.succeed().await?;
    let states: Vec<(i64, String)> =
        sqlx::query_as("select run, state from runs order by run").fetch_all(world.pool()).await?;
    assert_eq!(states, [(1, "abandoned".to_owned()), (2, "balanced".to_owned())]);
    Ok(())
}
