//! Two last markers at once: each would miss the other, if the one lock did not keep them apart.

use anyhow::Result;
use catalog_tests::double::{Double, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

#[tokio::test]
async fn a_run_whose_last_markers_arrive_together_is_judged_once() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    // All that a partition holds comes in one batch with its marker.
    let double = Double::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&double)?.succeed().await?;

    // The lock that every batch takes first, held until all five partitions' batches stand before it.
    let mut blocker = world.pool().begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('catalog-stream ' || current_schema(), 0))")
        .execute(&mut *blocker)
        .await?;
    let member = world.consume()?.args(["--connections", "5"]).start()?;
    world
        .until(
            "select count(*) = 5 from pg_locks where locktype = 'advisory' and not granted \
                  and database = (select oid from pg_database where datname = current_database())",
        )
        .await?;
    blocker.commit().await?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary = ended.summary()?;
    assert_eq!(summary["runs"].as_array().map(Vec::len), Some(1), "{summary}");
    assert_eq!(summary["runs"][0]["state"], "balanced");
    Ok(())
}
