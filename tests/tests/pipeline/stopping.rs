//! SIGTERM ends both programs after the work in hand, and they go on later.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

#[tokio::test]
async fn a_producer_that_is_asked_to_stop_says_so_by_its_exit_code_and_resumes() -> Result<()> {
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
        // Whoever asks where the run stands need not guess.
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
async fn a_consumer_that_is_stopped_on_its_way_to_a_goal_says_so_by_its_exit_code() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    world.migrate().await?;
    // No batch gets past a lock on the table, so it can't catch up.
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
async fn a_restart_gives_an_interrupted_run_up_and_the_tables_say_so() -> Result<()> {
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
async fn a_consumer_that_is_asked_to_stop_exits_0_with_its_offsets_committed() -> Result<()> {
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
