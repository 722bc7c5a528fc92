//! A partition that waits for a lock of another session.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

use super::{Fault, WITHIN};

#[tokio::test]
async fn stalled_partition() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    // With the default of --stall-timeout, because that decides how soon a stall is seen.
    let mut member = world.plain_run()?.args(["--metrics-addr", "0"]).start()?;
    let port = member.watched().await?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;
    let mut other = world.stall_hosts(2).await?;
    let blocker: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *other).await?;
    let named = async {
        world.until_blocked("%socrata_hosts%").await?;
        let began = Instant::now();
        let stalled = port.until("/healthz", 503, |_| true).await?;
        anyhow::Ok((stalled, began.elapsed()))
    };
    let (crawled, named) = tokio::join!(world.crawl(&api)?.succeed(), named);
    crawled?;
    let (stalled, took) = named?;
    ensure!(took < WITHIN, "the stall was seen after {took:?}: {stalled}");
    let problem = stalled["problems"][0].as_str().context("a problem")?;
    assert!(problem.starts_with(&format!("{}[0] ", world.topic("hosts"))), "{stalled}");
    let operator = world.operator()?;
    let fault = Fault::named("stalled partition")?;
    assert_eq!(stalled["next"], fault.program.as_str());
    assert_eq!(operator.next(&stalled).await?.code, Some(0));
    let found = fault.find(&operator, &format!("session {blocker} holds")).await?;
    let ended = operator.next(&found).await?;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);

    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    let healthy = port.until("/healthz", 200, |_| true).await?;
    assert!(healthy["next"].is_null(), "{healthy}");
    fault.is_over(&operator).await
}
