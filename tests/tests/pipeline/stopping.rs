//! SIGTERM ends both programs after the work in flight, and they continue at the next start.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

#[tokio::test]
async fn a_producer_stopped_by_a_signal_exits_with_its_code_and_resumes() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    for (signal, code, page) in [("TERM", 143, 4), ("INT", 130, 2)] {
        let mut gate = api.hold(Matcher::pages().nth(page));
        let mut crawl = world.crawl(&api)?.start()?;
        crawl.reaches(gate.arrived()).await?;
        crawl.signal(signal)?;
        let stopped = crawl.ended().await?;
        assert_eq!(stopped.code, Some(code), "{}", stopped.stderr);
        let summary = stopped.summary()?;
        assert_eq!((&summary["whole"], &summary["error"]), (&false.into(), &stopped.error()?.into()));
        assert!(stopped.error()?.starts_with("interrupted: run 1 of us"), "{}", stopped.stderr);
        gate.release();
        // `status` shows that the run was interrupted.
        let reported = world.status()?.args(["--json"]).succeed().await?.summary()?;
        let us = &reported["regions"][0];
        assert_eq!(us["runs"][0]["state"], "interrupted");
        assert!(
            us["cursor"]["stopped"]["at"].is_string() && us["cursor"]["stopped"]["error"].is_null(),
            "{us}"
        );
    }

    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), ended["published"]["datasets"].as_u64()), (Some(1), Some(1_000)));
    Ok(())
}

#[tokio::test]
async fn a_consumer_stopped_before_it_caught_up_exits_with_the_code_of_the_signal() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    world.migrate().await?;
    // No batch passes a lock on the table, so it can't catch up.
    let mut tx = world.pool().begin().await?;
    sqlx::query("lock table socrata_datasets in access exclusive mode").execute(&mut *tx).await?;
    let mut member = world.consume()?.start()?;
    member.logged(events::PARTITION_ASSIGNED).await?;
    member.terminate()?;
    let stopped = member.ended().await?;
    assert_eq!(stopped.code, Some(143), "{}", stopped.stderr);
    let summary = stopped.summary()?;
    assert_eq!((&summary["caught_up"], &summary["error"]), (&false.into(), &stopped.error()?.into()));
    Ok(())
}

#[tokio::test]
async fn a_restart_discards_an_interrupted_run_and_the_tables_show_it() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    let mut crawl = world.crawl(&api)?.start()?;
    for _ in 0..4 {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    crawl.kill().await?;
    let ended = world.crawl(&api)?.args(["--restart"]).succeed().await?.summary()?;
    assert_eq!(ended["run"], 2);
    world.consume()?.succeed().await?;
    let runs: Vec<(i64, String)> =
        sqlx::query_as("select run, state from runs order by run").fetch_all(world.pool()).await?;
    assert_eq!(runs, [(1, "abandoned".into()), (2, "balanced".into())]);
    Ok(())
}

#[tokio::test]
async fn a_consumer_stopped_by_sigterm_exits_0_with_its_offsets_committed() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut member = world.member()?.args(["--batch-size", "50"]).start()?;
    member.logged(events::BATCH_APPLIED).await?;
    member.terminate()?;
    let stopped = member.ended().await?;
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert_eq!(stopped.summary()?["caught_up"], serde_json::Value::Null);
    let positions: Vec<(String, i32, i64)> =
        sqlx::query_as("select topic, partition, position from positions").fetch_all(world.pool()).await?;
    for (topic, partition, position) in positions {
        let (committed, _) = world.committed(&topic, partition).await?;
        assert_eq!(committed, Some(position), "{topic}[{partition}]");
    }
    Ok(())
}
