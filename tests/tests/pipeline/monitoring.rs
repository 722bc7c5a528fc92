//! `/healthz` and `/readyz` of a running consumer.

use std::net::TcpListener;

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::history::crawled_once;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{MonitoringPort, Program, Running, World};
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use tokio::net::TcpStream;

const BALANCED: [&str; 2] = [
    "select exists (select from runs where run = 1 and state = 'balanced')",
    "select exists (select from runs where run = 2 and state = 'balanced')",
];

/// A consumer that serves its state, and considers a partition stalled after a second.
fn watched(world: &World) -> Result<Program> {
    Ok(world.plain_run()?.args(["--metrics-addr", "0", "--stall-timeout", "1s"]))
}

fn waits_for<'a>(body: &'a Value, cause: &str) -> Option<&'a Value> {
    body["waits"].as_array()?.iter().find(|wait| wait["cause"] == cause)
}

/// Whether each partition of a health report is at its end.
fn is_caught_up(body: &Value) -> bool {
    let partitions = body["partitions"].as_array();
    partitions.is_some_and(|all| all.len() == 6 && all.iter().all(|one| one["position"] == one["end"]))
}

#[tokio::test]
async fn a_consumer_is_ready_once_it_has_joined_and_an_outage_does_not_make_it_unhealthy() -> Result<()> {
    let (world, api) = crawled_once(200, 4).await?;
    let (proxy, url) = world.proxy().await?;
    proxy.close();
    let mut member = watched(&world)?.env("DATABASE_URL", &url).start()?;
    let port = member.watched().await?;
    member.logged(events::DATABASE_UNREACHABLE).await?;
    let not_ready = port.until("/readyz", 503, |_| true).await?;
    assert!(not_ready["reason"].as_str().is_some_and(|reason| reason.contains("waiting")), "{not_ready}");
    assert_eq!(port.get("/healthz").await?.0, 200);

    proxy.open().await?;
    let ready = port.until("/readyz", 200, |_| true).await?;
    assert!(ready["partitions"].as_u64().is_some_and(|count| count > 0), "{ready}");
    world.until(BALANCED[0]).await?;
    port.until("/healthz", 200, is_caught_up).await?;

    // Idle, then with records that can't be applied for longer than the stall timeout.
    proxy.close();
    world.crawl(&api)?.succeed().await?;
    let waits =
        |body: &Value| waits_for(body, "database").is_some_and(|wait| wait["seconds"].as_u64() > Some(2));
    let away = port.until("/healthz", 200, waits).await?;
    assert_eq!(waits_for(&away, "database").map(|wait| &wait["limit_seconds"]), Some(&Value::Null));
    assert_eq!(port.get("/readyz").await?.0, 200);
    proxy.open().await?;
    world.until(BALANCED[1]).await?;
    port.until("/healthz", 200, |body| is_caught_up(body) && waits_for(body, "database").is_none()).await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

/// A consumer with a batch that waits for a row that another session has locked.
struct Stalled {
    world: World,
    member: Running,
    port: MonitoringPort,
    other: Transaction<'static, Postgres>,
}

impl Stalled {
    async fn start() -> Result<Self> {
        let (world, api) = crawled_once(200, 4).await?;
        let mut member = watched(&world)?.start()?;
        let port = member.watched().await?;
        world.until(BALANCED[0]).await?;
        let other = world.stall_hosts(2).await?;
        world.crawl(&api)?.succeed().await?;
        world.until_blocked("%socrata_hosts%").await?;
        Ok(Self { world, member, port, other })
    }
}

#[tokio::test]
async fn a_partition_that_stalls_is_named_and_a_shutdown_ends_readiness() -> Result<()> {
    let Stalled { world, member, port, other } = Stalled::start().await?;
    let stalled = port.until("/healthz", 503, |body| body["status"] == "unhealthy").await?;
    let problems = stalled["problems"].as_array().context("a list")?;
    let name = format!("{}[0] ", world.topic("hosts"));
    assert!(
        problems.len() == 1 && problems[0].as_str().is_some_and(|text| text.starts_with(&name)),
        "{stalled}"
    );
    port.until_metrics(|text| text.contains("\ncatalog_consumer_healthy 0\n")).await?;

    // It waits for the batch in flight.
    assert_eq!(port.get("/readyz").await?.0, 200);
    member.terminate()?;
    let stopping = port.until("/readyz", 503, |_| true).await?;
    assert_eq!(stopping["reason"], "shutting down");
    other.rollback().await?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_was_stalled_is_healthy_again_when_it_moves() -> Result<()> {
    // The name keeps the consumer running.
    let Stalled { world, member: _member, port, other } = Stalled::start().await?;
    port.until("/healthz", 503, |_| true).await?;
    other.rollback().await?;
    world.until(BALANCED[1]).await?;
    port.until("/healthz", 200, is_caught_up).await?;
    Ok(())
}

#[tokio::test]
async fn a_standby_without_partitions_is_ready() -> Result<()> {
    let (world, _api) = crawled_once(200, 4).await?;
    // One more than there are partitions.
    let mut members = Vec::new();
    for _ in 0..7 {
        let mut member = world.plain_run()?.args(["--metrics-addr", "0", "--connections", "1"]).start()?;
        let port = member.watched().await?;
        members.push((member, port));
    }
    let checks = members.iter().map(|(_, port)| port.until("/readyz", 200, |_| true));
    futures::future::try_join_all(checks).await?;
    let standby = members.iter().map(|(_, port)| {
        let is_standby = |body: &Value| body["partitions"] == 0;
        Box::pin(port.until("/readyz", 200, is_standby))
    });
    let (body, _, _) = futures::future::select_all(standby).await;
    assert!(body?["reason"].as_str().is_some_and(|reason| reason.contains("standby")));
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_the_name_of_the_flag() -> Result<()> {
    let world = World::new().await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let addr = taken.local_addr()?.to_string();
    let ended = world.plain_run()?.args(["--metrics-addr", &addr]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.error()?.contains(&format!("{addr} (--metrics-addr")), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn clients_that_send_nothing_do_not_block_others() -> Result<()> {
    let world = World::new().await?;
    let mut member = watched(&world)?.start()?;
    let port = member.watched().await?;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(port.addr()).await?);
    }
    assert_eq!(port.get("/healthz").await?.0, 200);
    assert_eq!(port.get("/elsewhere").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_consumer_without_topics_is_ready_until_the_first_crawl() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let mut member = watched(&world)?.start()?;
    let port = member.watched().await?;
    let ready = port.until("/readyz", 200, |_| true).await?;
    assert!(ready["reason"].as_str().is_some_and(|reason| reason.contains("topics")), "{ready}");
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    world.until(BALANCED[0]).await?;
    port.until("/readyz", 200, |body| body["partitions"] == 6).await?;
    port.until("/healthz", 200, is_caught_up).await?;
    Ok(())
}
