//! A consumer continues by itself when its broker is reachable again.

use anyhow::{Result, bail};
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, World};

/// Whether the metrics of a consumer show that it has no partitions, and that Kafka is the reason.
fn is_waiting_without_partitions(metrics: &str) -> bool {
    let value = |series: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse::<f64>().ok())
    };
    value("catalog_consumer_assigned_partitions") == Some(0.0)
        && value(r#"catalog_consumer_wait_seconds{cause="kafka"}"#).is_some_and(|seconds| seconds > 0.0)
}

#[tokio::test]
async fn a_consumer_survives_a_broker_that_is_unreachable() -> Result<()> {
    let mut broker = Broker::start().await?;
    let world = World::on(broker.address()?).await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    // Its session ends during the outage, so that it loses its partitions.
    let mut member = world.short_session()?.args(["--metrics-addr", "0"]).start()?;
    let port = member.watched().await?;
    let outage = async {
        world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
        world.until_decided("cursors").await?;
        broker.kill().await?;
        port.until_metrics(is_waiting_without_partitions).await?;
        broker.restart().await?;
        world.crawl(&api)?.succeed().await?;
        world.until("select exists (select from runs where run = 2 and state = 'balanced')").await
    };
    tokio::select! {
        report = port.unhealthy() => bail!("unhealthy: {report}"),
        passed = outage => passed?,
    }
    member.terminate()?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_down_when_everything_is_applied_is_waited_for() -> Result<()> {
    let mut broker = Broker::start().await?;
    let world = World::on(broker.address()?).await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    let open = world.send_and_leave_open("hosts", "open".to_owned(), Vec::new()).await?;
    let mut member = world.member()?.args(["--until-caught-up"]).start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
    member.logged(events::OPEN_TRANSACTION).await?;
    // The last batch skips the aborted record, and reads this table first.
    let mut last_batch = world.pool().begin().await?;
    sqlx::query("lock table installation in access exclusive mode").execute(&mut *last_batch).await?;
    drop(open);
    world.until_blocked("%from installation%").await?;
    broker.kill().await?;
    last_batch.rollback().await?;
    member.logged(events::END_CHECK_RETRIED).await?;
    broker.restart().await?;
    let ended = member.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.summary()?["caught_up"], true, "{}", ended.stderr);
    Ok(())
}
