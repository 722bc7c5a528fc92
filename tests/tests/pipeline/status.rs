//! `status` shows each region's last runs from the cursors only, and does not disturb other programs.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use rdkafka::admin::{NewTopic, TopicReplication};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::test]
async fn status_before_the_first_crawl_reports_it_and_creates_no_topic() -> Result<()> {
    let world = World::new().await?;
    for _ in 0..2 {
        let ended = world.status()?.succeed().await?;
        assert!(ended.stdout.contains("does not exist"), "{}", ended.stdout);
    }
    let reported = world.status()?.args(["--region", "eu", "--json"]).succeed().await?.summary()?;
    assert_eq!(reported["topic_exists"], false);
    assert_eq!(reported["regions"], json!([{"region": "eu", "cursor": null, "runs": []}]));
    Ok(())
}

#[tokio::test]
async fn status_without_a_broker_fails_soon() -> Result<()> {
    let world = World::on("127.0.0.1:1".to_owned()).await?;
    let start = std::time::Instant::now();
    let ended = world.status()?.run().await?;
    // Far below the 30 s that one request to Kafka may take.
    assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
    let reported = "Kafka at 127.0.0.1:1 (KAFKA_BROKERS) is unreachable: ";
    assert!(ended.code == Some(1) && ended.stderr.contains(reported), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn status_shows_the_current_run_and_earlier_ones() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut crawl = world.crawl(&api)?.start()?;
    crawl.logged(events::PAGE_PUBLISHED).await?;
    crawl.kill().await?;

    let mut gate = api.hold(Matcher::pages());
    gate.pass(2);
    let mut crawl =
        world.crawl(&api)?.args(["--restart", "--datasets=false", "--concurrency", "1"]).start()?;
    for _ in 0..3 {
        crawl.reaches(gate.arrived()).await?;
    }
    // `/domains` and the two pages.
    for _ in 0..3 {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    let reported = world.status()?.args(["--json"]).succeed().await?.summary()?;
    let text = world.status()?.succeed().await?.stdout;
    gate.release();
    // It was not disturbed.
    assert_eq!(crawl.ended().await?.summary()?["run"], 3);

    let us = &reported["regions"][0];
    let runs: Vec<Value> =
        us["runs"].as_array().unwrap().iter().map(|run| json!([run["run"], run["state"]])).collect();
    assert_eq!(runs, [json!([3, "in_progress"]), json!([2, "abandoned"]), json!([1, "ended"])]);
    assert_eq!((&us["runs"][0]["objects"], &us["runs"][2]["objects"]), (&json!(198), &json!(500)));
    assert_eq!(us["runs"][0]["kinds"], json!(["domains", "hosts", "agencies"]));
    assert!(us["runs"][2]["ended_at"].is_string() && us["runs"][1]["ended_at"].is_null(), "{us}");
    let cursor = &us["cursor"];
    let covered = cursor["covered"].as_f64().unwrap();
    assert!(covered > 0.0 && covered < 1.0 && cursor["age_seconds"].is_u64(), "{cursor}");
    assert_eq!((&cursor["next_page"], &reported["regions"][1]["cursor"]), (&json!(3), &Value::Null));
    for line in [
        "Region us: run 3 is in progress, last written",
        "Region eu: no run yet.",
        "without datasets",
        "abandoned",
    ] {
        assert!(text.contains(line), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn status_shows_the_error_that_a_run_stopped_with() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    api.fail(Matcher::pages().nth(3), Fault::status(403));
    let failed = world.crawl(&api)?.args(["--concurrency", "1"]).run().await?;
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let reported = world.status()?.args(["--json"]).succeed().await?.summary()?;
    let us = &reported["regions"][0];
    assert_eq!((&us["runs"][0]["state"], &us["cursor"]["next_page"]), (&json!("interrupted"), &json!(3)));
    assert_eq!(us["cursor"]["stopped"]["error"], failed.error()?);
    let text = world.status()?.succeed().await?.stdout;
    assert!(text.contains("run 1 was interrupted, last written") && text.contains("  error   "), "{text}");

    // A resumed run no longer shows the error.
    api.heal();
    let mut gate = api.hold(Matcher::pages().nth(2));
    let mut crawl = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    crawl.reaches(gate.arrived()).await?;
    let reported = world.status()?.args(["--json"]).succeed().await?.summary()?;
    gate.release();
    let us = &reported["regions"][0];
    assert_eq!((&us["runs"][0]["state"], &us["cursor"]["stopped"]), (&json!("in_progress"), &Value::Null));
    assert_eq!(crawl.ended().await?.summary()?["whole"], true);
    Ok(())
}

#[tokio::test]
async fn a_region_without_a_partition_is_refused_and_hides_no_other_region() -> Result<()> {
    let world = World::new().await?;
    let (api, cursors) =
        (MockServer::start(Options::new(Synthetic::new(100, 3))).await?, world.topic("cursors"));
    let topic = NewTopic::new(&cursors, 1, TopicReplication::Fixed(1));
    let topic = topic.set("cleanup.policy", "compact").set("max.message.bytes", "8388608");
    world.create_topics(&[topic]).await?;
    world.crawl(&api)?.succeed().await?;
    let refused = world.crawl(&api)?.args(["--region", "eu"]).run().await?;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    let error = refused.error()?;
    assert!(error.contains(&cursors) && error.contains("region eu needs 2"), "{error}");
    let reported = world.status()?.args(["--json"]).succeed().await?.summary()?;
    assert_eq!(reported["regions"][0]["runs"][0]["state"], "ended");
    assert_eq!(reported["regions"][1], json!({"region": "eu", "cursor": null, "runs": []}));
    Ok(())
}

#[tokio::test]
async fn a_signal_ends_a_status_that_waits_for_kafka() -> Result<()> {
    // It accepts connections and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let world = World::on(silent.local_addr()?.to_string()).await?;
    let mut status = world.status()?.start()?;
    let _connection = status.reaches(silent.accept()).await??;
    status.terminate()?;
    let ended = status.ended().await?;
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert!(ended.stderr.contains("the cursors were not read"), "{}", ended.stderr);
    Ok(())
}
