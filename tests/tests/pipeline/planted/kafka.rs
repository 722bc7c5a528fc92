//! A broker that is down, a missing topic, and one that deletes records.

use anyhow::Result;
use catalog_tests::history::History;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, Sent, World, until_ok};

use super::{Fault, find, succeed};

const PRODUCER: &str = "catalog-producer doctor --region us";
/// The exit codes of `curl` if it can't connect, and if the connection stays open without an answer.
const REFUSED: Option<i32> = Some(7);
const OPEN: Option<i32> = Some(28);

#[tokio::test]
async fn broker_down() -> Result<()> {
    let mut broker = Broker::start().await?;
    let address = broker.address()?;
    let world = World::on(address.clone()).await?;
    let operator = world.operator()?;
    broker.kill().await?;
    let fault = Fault::named("broker down")?;
    for program in [fault.program.as_str(), PRODUCER] {
        let fault = Fault { program: program.to_owned(), ..Fault::named("broker down")? };
        let found = fault.find(&operator, &address).await?;
        let shown = operator.next(&found).await?;
        assert_eq!(shown.code, REFUSED, "{}", shown.stderr);
    }
    let found = fault.find(&operator, &address).await?;
    let lag = find(&operator, "catalog-consumer check", "kafka", "critical").await?;
    assert_eq!(operator.next(&lag).await?.code, Some(1));

    broker.restart().await?;
    let connected = operator.next(&found).await?;
    assert_eq!(connected.code, OPEN, "{}", connected.stderr);
    fault.is_over(&operator).await
}

#[tokio::test]
async fn an_advertised_address_that_is_out_of_reach() -> Result<()> {
    let broker = Broker::start_with("advertised.listeners=CLIENT://127.0.0.1:1\n").await?;
    let world = World::on(broker.address()?).await?;
    let operator = world.operator()?;
    let found = find(&operator, "catalog-consumer doctor", "advertised_listeners", "problem").await?;
    let shown = operator.next(&found).await?;
    assert!(shown.code == REFUSED && shown.stderr.contains("127.0.0.1 port 1"), "{}", shown.stderr);
    Ok(())
}

#[tokio::test]
async fn topic_missing() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    history.world.delete_topics(&["agencies"]).await?;
    let operator = history.world.operator()?;
    let operator = operator.env("CATALOG_API_URL", &history.api.url()).env("CATALOG_PARTITIONS", "2");
    let fault = Fault::named("topic missing")?;
    let found = fault.find(&operator, &history.world.topic("agencies")).await?;
    let created = operator.next(&found).await?;
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    fault.is_over(&operator).await?;

    // It is another topic now, and the tables know it. The next command continues with it.
    let found = find(&operator, "catalog-consumer doctor", "tables_and_topics", "problem").await?;
    let moved = operator.next(&found).await?;
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);
    let applied = operator.run("catalog-consumer run").await?;
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    find(&operator, "catalog-consumer doctor", "tables_and_topics", "ok").await.map(drop)
}

#[tokio::test]
async fn partitions_without_a_leader() -> Result<()> {
    let disks = tempfile::tempdir()?;
    let (good, bad) = (disks.path().join("good"), disks.path().join("bad"));
    // A broker takes the partitions of a disk offline once it can't write to it, which it tries once a second.
    let settings = format!(
        "log.dirs={0},{1}\nmetadata.log.dir={0}\nlog.flush.offset.checkpoint.interval.ms=1000\n",
        good.display(),
        bad.display()
    );
    let broker = Broker::start_with(&settings).await?;
    let world = World::on(broker.address()?).await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    let operator = world.operator()?;
    find(&operator, "catalog-consumer doctor", "topics", "ok").await?;
    std::fs::rename(&bad, disks.path().join("gone"))?;
    let found =
        until_ok(async || find(&operator, "catalog-consumer doctor", "topics", "problem").await).await?;
    assert!(found["found"].to_string().contains(" has no leader: "), "{found}");
    let shown = operator.next(&found).await?;
    assert!(
        shown.code == Some(0) && shown.stdout.contains("Leader: none"),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_cursor_that_cannot_be_read() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let world = &history.world;
    let operator = world.operator()?;
    let operator = operator.env("CATALOG_API_URL", &history.api.url()).env("CATALOG_PARTITIONS", "2");
    let newer = r#"{"schema":9}"#;
    let sent = Sent { key: Some(b"us"), value: Some(newer.as_bytes()), ..Sent::default() };
    let offset = world.send("cursors", sent).await?;
    let found = find(&operator, PRODUCER, "cursor", "problem").await?;
    let place = format!("at offset {offset} of {}[0]", world.topic("cursors"));
    assert!(found["found"].to_string().contains(&place), "{found}");
    // It shows who may have written it.
    let shown = operator.next(&found).await?;
    assert!(shown.code == Some(0) && shown.stdout.contains(newer), "{}{}", shown.stdout, shown.stderr);

    let refused = operator.run("catalog-producer crawl --region us").await?;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains(&place), "{}", refused.stderr);

    // As docs/how-to/recover-lost-topics.md describes it.
    let delete = "kafka-topics.sh --bootstrap-server \"$KAFKA_BROKERS\" --delete --topic";
    succeed(&operator, &format!("{delete} {}", world.topic("cursors"))).await?;
    succeed(&operator, "catalog-producer crawl --region us --first-run 2").await?;
    let found = find(&operator, PRODUCER, "cursor", "ok").await?;
    assert!(found["found"].to_string().contains("run 2 of us"), "{found}");
    succeed(&operator, "catalog-consumer run").await
}

#[tokio::test]
async fn topic_that_deletes() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let operator = history.world.operator()?;
    history.world.set_policy("datasets", "delete").await?;
    let fault = Fault::named("topic that deletes")?;
    let found = fault.find(&operator, &history.world.topic("datasets")).await?;
    let changed = operator.next(&found).await?;
    assert_eq!(changed.code, Some(0), "{}{}", changed.stdout, changed.stderr);
    // The same topic has lost its other settings, which is a warning.
    let found = find(&operator, &fault.program, "topics", "warning").await?;
    assert!(found["found"].to_string().contains("min.compaction.lag.ms"), "{found}");
    let changed = operator.next(&found).await?;
    assert_eq!(changed.code, Some(0), "{}{}", changed.stdout, changed.stderr);
    fault.is_over(&operator).await
}
