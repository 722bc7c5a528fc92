//! Each record is applied once and in order, whatever the group does with a member.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};
use serde_json::Value;

const ASSETS: u64 = 600;

/// Whether a batch waits for the position of the first partition of datasets.
const IS_BLOCKED: &str = "select exists (select from pg_stat_activity where datname = current_database()
     and application_name = 'catalog-consumer' and wait_event_type = 'Lock' and query like '%positions%')";

/// Whether a batch waits for every position of a partition with records of the second run.
const ALL_ARE_BLOCKED: &str =
    "select count(*) = (select count(*) from positions where topic not like '%dead-letters')
     from pg_stat_activity where datname = current_database()
     and application_name = 'catalog-consumer' and wait_event_type = 'Lock'";

/// Asserts that each record of both runs counts once, and that the tables equal those of a new consumer.
async fn assert_once(world: &World) -> Result<()> {
    let runs: Vec<(i64, String, bool)> =
        sqlx::query_as("select run, state, applied = published from runs order by run")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(runs, [(1, "balanced".to_owned(), true), (2, "balanced".to_owned(), true)]);
    let older: i64 =
        sqlx::query_scalar("select sum(older)::bigint from run_partitions").fetch_one(world.pool()).await?;
    assert_eq!(older, 0, "records were applied out of order");
    world.consume()?.args(["--schema", "fresh", "--group", &world.topic("fresh")]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("fresh", &CATALOG).await?);
    Ok(())
}

#[tokio::test]
async fn a_member_suspended_past_its_session_timeout_writes_nothing_twice() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut suspended = world.short_session()?.args(["--batch-size", "50"]).start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;

    // It is suspended with a batch in flight, which waits for the position that is locked here.
    let mut holder = world.pool().begin().await?;
    sqlx::query("select from positions where topic = $1 and partition = 0 for update")
        .bind(world.topic("datasets"))
        .execute(&mut *holder)
        .await?;
    world.crawl(&api)?.succeed().await?;
    world.until(IS_BLOCKED).await?;
    suspended.signal("STOP")?;
    let mut second = world.short_session()?.args(["--batch-size", "50"]).start()?;
    second.logged(events::PARTITION_ASSIGNED).await?;
    holder.rollback().await?;

    // The suspended member's transaction is still open, so the server ends it.
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    suspended.signal("CONT")?;
    suspended.logged(events::PARTITION_REVOKED).await?;
    suspended.terminate()?;
    assert_eq!(suspended.ended().await?.code, Some(0));
    second.terminate()?;
    assert_eq!(second.ended().await?.code, Some(0));
    assert_once(&world).await
}

#[tokio::test]
async fn a_partition_is_revoked_after_its_batch_in_flight() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut first = world.member()?.args(["--connections", "8"]).start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;

    // Another member joins while every partition has a batch that waits for its position.
    let mut holder = world.pool().begin().await?;
    sqlx::query("select from positions for update").execute(&mut *holder).await?;
    world.crawl(&api)?.succeed().await?;
    world.until(ALL_ARE_BLOCKED).await?;
    let mut second = world.member()?.start()?;
    first.logged(events::REVOCATION_STARTED).await?;
    holder.rollback().await?;
    second.logged(events::PARTITION_ASSIGNED).await?;
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    for member in [&first, &second] {
        member.terminate()?;
    }
    assert_eq!(second.ended().await?.code, Some(0));
    let first = first.ended().await?;
    assert_eq!(first.code, Some(0), "{}", first.stderr);

    let lines: Vec<Value> = first.log_lines().collect();
    let begun = lines.iter().position(|line| line["event"] == events::REVOCATION_STARTED);
    let mut applied = HashSet::new();
    let mut given_up = 0;
    for line in &lines[begun.context("it gave partitions up")?..] {
        let place = (line["topic"].to_string(), line["partition"].as_i64());
        if line["event"] == events::BATCH_APPLIED {
            applied.insert(place);
        } else if line["event"] == events::PARTITION_REVOKED && !place.0.contains("dead-letters") {
            assert!(applied.contains(&place), "{place:?} was given up before its batch had ended");
            given_up += 1;
        }
    }
    assert!(given_up > 0, "{}", first.stderr);
    assert_once(&world).await
}

#[tokio::test]
async fn members_join_and_leave_while_batches_are_in_flight() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut first = world.member()?.args(["--batch-size", "50", "--metrics-addr", "0"]).start()?;
    let port = first.watched().await?;
    let rebalances = async {
        world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
        world.crawl(&api)?.succeed().await?;
        // Members join and leave while batches of the second run are in flight.
        let mut second = world.member()?.args(["--batch-size", "50"]).start()?;
        second.logged(events::PARTITION_ASSIGNED).await?;
        first.logged(events::PARTITION_REVOKED).await?;
        let third = world.member()?.args(["--batch-size", "50"]).start()?;
        second.terminate()?;
        assert_eq!(second.ended().await?.code, Some(0));
        world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
        anyhow::Ok(third)
    };
    let third = tokio::select! {
        report = port.unhealthy() => bail!("unhealthy: {report}"),
        third = rebalances => third?,
    };
    for member in [first, third] {
        member.terminate()?;
        assert_eq!(member.ended().await?.code, Some(0));
    }
    assert_once(&world).await
}
