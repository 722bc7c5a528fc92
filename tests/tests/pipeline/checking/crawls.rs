//! The age of full crawls, and of the last crawl of any mode.

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

use super::{answer, applied, execute, finding, follow};

#[tokio::test]
async fn without_a_crawl_the_next_command_is_a_crawl() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    // There are no topics yet either.
    let missing = answer(&world, &[], 2).await?;
    assert!(finding(&missing, "kafka", "critical")?["found"].to_string().contains("there is no topic"));
    let next = finding(&missing, "full_crawl", "critical")?["next"].as_str().context("a command")?;
    let crawl = world.follow(next)?.env("CATALOG_API_URL", &api.url()).env("CATALOG_RATE", "none");
    crawl.succeed().await?;
    world.consume()?.succeed().await?;
    assert_eq!(answer(&world, &[], 0).await?["level"], "ok");
    let eu = answer(&world, &["--region", "eu"], 2).await?;
    assert!(finding(&eu, "full_crawl", "critical")?["next"].to_string().ends_with("--region eu\""));
    Ok(())
}

#[tokio::test]
async fn an_old_full_crawl_is_a_warning_and_then_critical() -> Result<()> {
    let world = applied().await?.world;
    for (age, level, code) in [("40 hours", "warning", 1), ("3 days", "critical", 2)] {
        execute(&world, &format!("update runs set ended_at = now() - interval '{age}'")).await?;
        let old = answer(&world, &["--database-only"], code).await?;
        let finding = finding(&old, "full_crawl", level)?;
        assert_eq!(follow(&world, finding).await?.code, Some(0));
        let off = ["--database-only", "--crawl-age-warning", "off", "--crawl-age-critical", "off"];
        answer(&world, &off, 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_full_crawl_without_datasets_does_not_count() -> Result<()> {
    let history = applied().await?;
    execute(&history.world, "update runs set ended_at = now() - interval '3 days'").await?;
    history.run(&["--datasets=false"]).await?;
    assert_eq!(history.states().await?, [(1, "balanced".to_owned()), (2, "ended".to_owned())]);
    let old = answer(&history.world, &["--database-only"], 2).await?;
    assert_eq!(finding(&old, "full_crawl", "critical")?["run"], 1);
    Ok(())
}

#[tokio::test]
async fn the_last_crawl_of_any_mode_has_a_limit_of_its_own() -> Result<()> {
    let history = applied().await?;
    let world = &history.world;
    history.run(&["--since", "auto"]).await?;
    execute(world, "update runs set ended_at = now() - interval '5 hours' where run = 2").await?;
    // A crawl of a part of the catalog is not an update of it.
    history.run(&["--limit", "10"]).await?;
    let found = answer(world, &["--database-only"], 0).await?;
    assert!(finding(&found, "last_crawl", "ok")?["found"].to_string().contains("(run 2, incremental)"));
    let limits = ["--database-only", "--last-crawl-age-warning", "4h", "--last-crawl-age-critical", "8h"];
    let late = answer(world, &limits, 1).await?;
    assert_eq!(follow(world, finding(&late, "last_crawl", "warning")?).await?.code, Some(0));
    finding(&late, "full_crawl", "ok")?;
    Ok(())
}
