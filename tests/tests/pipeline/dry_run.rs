//! A dry run of the producer does everything except write.

use std::time::Duration;

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Program, World};
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Nothing listens on port 1.
const NO_BROKER: &str = "127.0.0.1:1";

#[tokio::test]
async fn a_dry_run_reports_what_a_run_would_publish_and_creates_no_topic() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    let dry = world.crawl(&api)?.args(["--dry-run"]).succeed().await?.summary()?;
    assert_eq!((dry["dry_run"].as_bool(), dry["whole"].as_bool()), (Some(true), Some(true)));
    assert_eq!((&dry["published"]["datasets"], dry["run"].as_u64()), (&500.into(), None));

    let consumer: BaseConsumer = world.kafka().create()?;
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(30))?;
    let prefix = world.topic("");
    let topics: Vec<_> = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix)).collect();
    assert_eq!(topics.len(), 0);

    let real = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((&real["run"], &real["dry_run"]), (&1.into(), &false.into()));
    assert_eq!((&real["published"], &real["objects"]), (&dry["published"], &dry["objects"]));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_needs_no_broker_and_its_text_says_that_nothing_was_written() -> Result<()> {
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    let program = || -> Result<Program> {
        let crawl = Program::new("catalog-producer")?.args(["crawl", "--region", "us", "--dry-run"]);
        Ok(crawl.args(["--api-url", &api.url(), "--rate", "none", "--brokers", NO_BROKER]))
    };
    let ended = program()?.args(["--limit", "42"]).succeed().await?;
    assert!(
        ended.stdout.contains("Dry run of us (part) is complete; nothing was written."),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("would have published  42 datasets"), "{}", ended.stdout);

    let refused = program()?.args(["--restart"]).run().await?;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--restart"), "{}", refused.stderr);
    Ok(())
}
