//! Both programs log their version and the settings in effect at their start.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_shared::version::{BUILD, VERSION, librdkafka};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Program, World};
use serde_json::Value;

/// The line of a program that runs to its end. It is the first one.
async fn configured(program: Program) -> Result<Value> {
    let ended = program.succeed().await?;
    let line: Value = serde_json::from_str(ended.stderr.lines().next().context("the log is empty")?)?;
    assert_eq!((&line["event"], &line["level"]), (&events::CONFIGURED.into(), &"INFO".into()), "{line}");
    assert_eq!(line["version"], VERSION);
    assert_eq!((&line["build"], &line["librdkafka"]), (&BUILD.into(), &librdkafka().into()));
    Ok(line)
}

/// Whether the settings contain these flags.
#[track_caller]
fn assert_settings(line: &Value, flags: &[&str]) {
    let settings = format!("{} ", line["settings"].as_str().unwrap_or_default());
    for flag in flags {
        assert!(settings.contains(&format!("{flag} ")), "{flag} is not among {settings}");
    }
}

#[tokio::test]
async fn settings_come_from_flags_variables_and_defaults_and_hide_secrets() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(Options::new(Synthetic::new(30, 2))).await?);
    let crawl = world.crawl(&api)?.env("SOCRATA_APP_TOKEN", "x").env("CATALOG_TIMEOUT", "20s");
    let crawl =
        crawl.env("KAFKA_OPTIONS", "client.rack=a;ssl.key.password=secret").args(["--page-size", "10"]);
    let line = configured(crawl).await?;
    let shown = ["--region us", "--page-size 10", "--timeout 20s", "--retry-for 10m", "--app-token ***"];
    assert_settings(&line, &shown);
    assert_eq!(line["kafka_options"], "client.rack=a; ssl.key.password=***");
    assert_eq!(line["api"], api.url());

    let line = configured(world.consume()?.args(["--batch-size", "100"])).await?;
    assert_settings(
        &line,
        &["--until-caught-up", "--batch-size 100", "--database-url ***", "--schema catalog"],
    );
    assert!(!line["settings"].as_str().unwrap_or_default().contains("--accept-loss"), "{line}");
    let database = line["database"].as_str().unwrap_or_default();
    assert!(database.starts_with("database ") && line.get("kafka_options").is_none(), "{line}");

    let line = configured(world.rebuild()?).await?;
    assert_settings(&line, &["--max-retire-share 0.2", "--schema catalog"]);
    Ok(())
}
