//! During an outage of PostgreSQL the consumer waits, stays in its group, and counts each record once.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::crawled_once;
use catalog_tests::world::{Ended, Program, World};

/// The client's error when it was not polled for too long and leaves its group.
const DROPPED: &str = "PollExceeded";
const BALANCED: [&str; 2] = [
    "select exists (select from runs where run = 1 and state = 'balanced')",
    "select exists (select from runs where run = 2 and state = 'balanced')",
];

/// A consumer with the shortest poll interval that Kafka allows, 6 s.
fn with_short_poll_interval(world: &World, url: &str) -> Result<Program> {
    let options = "session.timeout.ms=6000;heartbeat.interval.ms=1000;max.poll.interval.ms=6000";
    Ok(world.plain_run()?.env("DATABASE_URL", url).env("KAFKA_OPTIONS", options))
}

fn effects(ended: &Ended) -> Result<u64> {
    let summary = ended.summary()?;
    let kinds = summary["records"].as_object().into_iter().flat_map(|kinds| kinds.values());
    let counts = kinds.filter_map(serde_json::Value::as_object).flat_map(|effects| effects.values());
    Ok(counts.filter_map(serde_json::Value::as_u64).sum())
}

async fn published(world: &World) -> Result<i64> {
    let sum = "select coalesce(sum(published), 0)::bigint from runs where state = 'balanced'";
    Ok(sqlx::query_scalar(sum).fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts_once() -> Result<()> {
    let (world, _double) = crawled_once(500, 5).await?;
    let (proxy, url) = world.proxy().await?;
    proxy.cut_commits(3);
    let program = world.plain_run()?.env("DATABASE_URL", &url);
    let ended = program.args(["--until-caught-up", "--batch-size", "50"]).succeed().await?;
    assert_eq!(proxy.commits_to_cut(), 0);
    assert!(!ended.logged(events::DATABASE_UNREACHABLE).is_empty(), "{}", ended.stderr);
    let published = published(&world).await?;
    assert!(published > 500);
    assert_eq!(i64::try_from(effects(&ended)?)?, published);
    Ok(())
}

#[tokio::test]
async fn a_consumer_waits_for_an_unreachable_database_and_stays_in_its_group() -> Result<()> {
    let (world, api) = crawled_once(500, 5).await?;
    let (proxy, url) = world.proxy().await?;
    let mut member = with_short_poll_interval(&world, &url)?.start()?;
    world.until(BALANCED[0]).await?;
    proxy.close();
    world.crawl(&api)?.succeed().await?;
    // The warning repeats only after the poll interval, so a consumer that doesn't poll would have left by then.
    member.logged(events::DATABASE_UNREACHABLE).await?;
    member.logged(events::DATABASE_UNREACHABLE).await?;
    proxy.open().await?;
    member.logged(events::DATABASE_REACHABLE).await?;
    world.until(BALANCED[1]).await?;
    member.terminate()?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(DROPPED), "{}", ended.stderr);
    assert_eq!(
        (ended.logged(events::PARTITION_ASSIGNED).len(), ended.logged(events::PARTITION_REVOKED).len()),
        (6, 0)
    );
    assert_eq!(i64::try_from(effects(&ended)?)?, published(&world).await?);
    Ok(())
}

#[tokio::test]
async fn connections_that_the_server_ends_within_a_transaction_are_reopened() -> Result<()> {
    let (world, _double) = crawled_once(500, 5).await?;
    let mut blocker = world.pool().begin().await?;
    sqlx::query("lock table run_partitions in share mode").execute(&mut *blocker).await?;
    let mut member = world.plain_run()?.args(["--batch-size", "100"]).start()?;
    world.until_blocked("%run_partitions%").await?;
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'catalog-consumer'",
    )
    .execute(world.pool())
    .await?;
    let reported = member.logged(events::DATABASE_UNREACHABLE).await?;
    assert!(reported["error"].as_str().unwrap().contains("offsets"), "{reported}");
    blocker.rollback().await?;
    member.logged(events::DATABASE_REACHABLE).await?;
    world.until(BALANCED[0]).await?;
    member.terminate()?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(i64::try_from(effects(&ended)?)?, published(&world).await?);
    Ok(())
}

#[tokio::test]
async fn a_partition_assigned_during_an_outage_is_consumed_after_it() -> Result<()> {
    let (world, api) = crawled_once(500, 5).await?;
    let (proxy, url) = world.proxy().await?;
    let mut first = with_short_poll_interval(&world, &url)?.start()?;
    world.until(BALANCED[0]).await?;
    first.logged(events::BATCH_APPLIED).await?;
    proxy.close();
    // The second leaves while the first can't read the positions of its partitions.
    let mut second = world.plain_run()?.start()?;
    second.logged(events::PARTITION_ASSIGNED).await?;
    second.terminate()?;
    assert_eq!(second.ended().await?.code, Some(0));
    first.logged(events::REBALANCE_WAITS).await?;
    // The time between two warnings exceeds the poll interval.
    first.logged(events::DATABASE_UNREACHABLE).await?;
    first.logged(events::DATABASE_UNREACHABLE).await?;
    proxy.open().await?;
    world.crawl(&api)?.succeed().await?;
    world.until(BALANCED[1]).await?;
    first.terminate()?;
    let ended = first.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(DROPPED), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_a_waiting_consumer() -> Result<()> {
    let (world, api) = crawled_once(500, 5).await?;
    let (proxy, url) = world.proxy().await?;
    let mut member = with_short_poll_interval(&world, &url)?.start()?;
    world.until(BALANCED[0]).await?;
    proxy.close();
    world.crawl(&api)?.succeed().await?;
    member.logged(events::DATABASE_UNREACHABLE).await?;
    member.terminate()?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // It ended at once and not after a timeout.
    assert_eq!(ended.logged(events::BATCHES_ABANDONED).len(), 0);
    proxy.open().await?;
    world.consume()?.succeed().await?;
    world.until(BALANCED[1]).await
}

#[tokio::test]
async fn a_consumer_waits_for_a_database_that_is_unreachable_at_the_start() -> Result<()> {
    let (world, _double) = crawled_once(500, 5).await?;
    let (proxy, url) = world.proxy().await?;
    proxy.close();
    let mut program = world.consume()?.env("DATABASE_URL", &url).start()?;
    program.logged(events::DATABASE_UNREACHABLE).await?;
    proxy.open().await?;
    assert_eq!(program.ended().await?.summary()?["caught_up"], true);
    world.until(BALANCED[0]).await
}

#[tokio::test]
async fn a_permanent_error_stops_the_consumer_and_names_the_batch_and_the_stage() -> Result<()> {
    let (world, _double) = crawled_once(500, 5).await?;
    sqlx::query("alter table socrata_hosts rename to elsewhere").execute(world.pool()).await?;
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let batch = format!("{}[0] offsets 0 to ", world.topic("hosts"));
    assert!(ended.error()?.starts_with(&batch), "{}", ended.stderr);
    assert!(ended.stderr.contains("can't write the rows"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_server_that_accepts_connections_and_never_answers_is_an_outage() -> Result<()> {
    let world = World::new().await?;
    // Like a paused pooler, or a load balancer without a target. It never reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("postgres://me@{}/catalog", silent.local_addr()?);
    let mut member = world.plain_run()?.env("DATABASE_URL", &url).start()?;
    let reported = member.logged(events::DATABASE_UNREACHABLE).await?;
    assert!(reported["error"].as_str().unwrap().contains("no answer within"), "{reported}");
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
