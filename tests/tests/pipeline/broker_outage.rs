//! The producer waits for an unreachable broker: it sends no useless API requests and publishes each record once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Gate, Matcher, MockServer, Options, ReceivedRequest};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, Program, Running, World};
use rdkafka::producer::{BaseProducer, Producer};

use crate::producer_killed::each_page_once;

const ASSETS: u64 = 2_000;
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many pages two lanes have in flight at least: two received ones that wait, and one in the publisher.
const IN_HAND: usize = 3;

async fn api() -> Result<MockServer> {
    Ok(MockServer::start(Options::new(Synthetic::new(ASSETS, 8))).await?)
}

fn crawl(world: &World, api: &MockServer) -> Result<Program> {
    Ok(world.crawl(api)?.args(["--concurrency", "2"]))
}

#[tokio::test]
async fn a_crawl_without_a_broker_waits_and_sends_no_api_requests() -> Result<()> {
    let mut broker = Broker::start().await?;
    broker.kill().await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let mut waiting = crawl(&world, &api)?.start()?;
    for _ in 0..2 {
        let warning = waiting.logged(events::KAFKA_UNREACHABLE).await?;
        assert_eq!(
            (warning["level"].as_str(), warning["brokers"].as_str()),
            (Some("WARN"), Some(&*broker.address()?))
        );
    }
    assert_eq!(api.requests().len(), 0);
    broker.restart().await?;
    let ended = waiting.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.summary()?["whole"], true);
    each_page_once(&world, ASSETS).await
}

#[tokio::test]
async fn wait_for_kafka_limits_the_wait() -> Result<()> {
    let (world, api) = (World::on("127.0.0.1:1".to_owned()).await?, api().await?);
    let ended = crawl(&world, &api)?.args(["--wait-for-kafka", "2s"]).run().await?;
    let reported = "Kafka at 127.0.0.1:1 (KAFKA_BROKERS) is unreachable: ";
    assert!(ended.code == Some(1) && ended.error()?.starts_with(reported), "{}", ended.stderr);
    assert_eq!(api.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_the_wait() -> Result<()> {
    // Nothing listens there.
    let (world, api) = (World::on("127.0.0.1:1".to_owned()).await?, api().await?);
    let mut waiting = crawl(&world, &api)?.start()?;
    waiting.logged(events::KAFKA_UNREACHABLE).await?;
    waiting.terminate()?;
    let ended = waiting.ended().await?;
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    let summary = ended.summary()?;
    assert_eq!((&summary["whole"], &summary["run"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(api.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_refuses_the_client_is_an_error() -> Result<()> {
    let (world, api) = (World::new().await?, api().await?);
    // This Kafka has SASL disabled.
    let options =
        "security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=me;sasl.password=Hunter2";
    let ended = crawl(&world, &api)?.env("KAFKA_OPTIONS", options).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("refuses this client") && ended.stderr.contains("SASL"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("Hunter2"), "{}", ended.stderr);
    Ok(())
}

/// Returns when the gate holds both lanes' requests and everything before is published and committed.
/// If a single broker is killed earlier, it may lose the end of a transaction.
async fn hold_mid_crawl(world: &World, api: &MockServer, crawl: &mut Running) -> Result<Gate> {
    let mut gate = api.hold(Matcher::pages().that(|request| request.sequence > 6));
    crawl.reaches(gate.arrived()).await?;
    crawl.reaches(gate.arrived()).await?;
    let answered = api.requests().iter().filter(|request| request.status.is_some()).count();
    for _ in 0..answered {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    world.until_decided("cursors").await?;
    Ok(gate)
}

#[tokio::test]
async fn a_crawl_pauses_while_the_broker_is_unreachable() -> Result<()> {
    let mut broker = Broker::start().await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let mut crawl = crawl(&world, &api)?.start()?;
    let gate = hold_mid_crawl(&world, &api, &mut crawl).await?;
    broker.kill().await?;
    gate.release();
    for _ in 0..IN_HAND {
        crawl.logged(events::PAGE_RECEIVED).await?;
    }
    // It logs its progress every ten seconds. Then it has no place for another page, and sends no requests.
    crawl.logged(events::CRAWL_PROGRESS).await?;
    let sent = api.requests().len();
    crawl.logged(events::CRAWL_PROGRESS).await?;
    assert_eq!(api.requests().len(), sent);
    broker.restart().await?;
    let ended = crawl.ended().await?;
    assert_eq!((ended.code, &ended.summary()?["whole"]), (Some(0), &true.into()), "{}", ended.stderr);
    each_page_once(&world, ASSETS).await
}

#[tokio::test]
async fn a_stopped_crawl_does_not_wait_forever_to_publish() -> Result<()> {
    let mut broker = Broker::start().await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let mut stopped = crawl(&world, &api)?.start()?;
    let gate = hold_mid_crawl(&world, &api, &mut stopped).await?;
    broker.kill().await?;
    gate.release();
    stopped.logged(events::PAGE_RECEIVED).await?;
    stopped.terminate()?;
    let ended = stopped.ended().await?;
    assert_eq!((ended.code, &ended.summary()?["whole"]), (Some(143), &false.into()), "{}", ended.stderr);
    assert!(!ended.logged(events::SHUTDOWN_TIMED_OUT).is_empty(), "{}", ended.stderr);
    broker.restart().await?;
    crawl_to_the_end(&world, &api).await?;
    each_page_once(&world, ASSETS).await
}

#[tokio::test]
async fn a_fenced_producer_survives_an_outage_before_it_reads_the_cursor() -> Result<()> {
    let mut broker = Broker::start().await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let mut crawl = crawl(&world, &api)?.start()?;
    let gate = hold_mid_crawl(&world, &api, &mut crawl).await?;
    fence(&world).await?;
    gate.release();
    crawl.logged(events::PUBLISH_RETRIED).await?;
    broker.kill().await?;
    crawl.logged(events::KAFKA_UNREACHABLE).await?;
    broker.restart().await?;
    let ended = crawl.ended().await?;
    assert_eq!((ended.code, &ended.summary()?["whole"]), (Some(0), &true.into()), "{}", ended.stderr);
    each_page_once(&world, ASSETS).await
}

/// Fences the producer without taking over, as a transaction timeout does.
async fn fence(world: &World) -> Result<()> {
    let mut config = world.kafka();
    config.set("transactional.id", world.topic("producer.us"));
    let other: BaseProducer = config.create()?;
    Ok(tokio::task::spawn_blocking(move || other.init_transactions(TIMEOUT)).await??)
}

/// The ids from which pages were requested and answered.
fn answered(requests: &[ReceivedRequest]) -> BTreeSet<String> {
    let pages = requests.iter().filter(|request| request.is_page() && request.status == Some(200));
    pages.filter_map(|request| request.param("scroll_id").map(str::to_owned)).collect()
}

/// A crawl whose two lanes wait for their first page.
async fn crawl_with_held_pages(world: &World, api: &MockServer) -> Result<(Running, Gate, Gate)> {
    let mut first = api.hold(Matcher::pages().scroll_id(""));
    let mut second = api.hold(Matcher::pages().that(|request| request.param("scroll_id") != Some("")).nth(1));
    let mut crawl = crawl(world, api)?.start()?;
    crawl.reaches(first.arrived()).await?;
    crawl.reaches(second.arrived()).await?;
    Ok((crawl, first, second))
}

#[tokio::test]
async fn pages_in_flight_are_published_before_shutdown_and_not_fetched_again() -> Result<()> {
    let broker = Broker::start().await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let (mut crawl, first, second) = crawl_with_held_pages(&world, &api).await?;
    // Nothing can be published now. Of the first lane, one page is being sent, and one waits.
    broker.freeze()?;
    first.release();
    for _ in 1..IN_HAND {
        crawl.logged(events::PAGE_RECEIVED).await?;
    }
    crawl.terminate()?;
    // The second lane abandons its request.
    let held = |request: &ReceivedRequest| request.is_page() && request.status.is_none() && request.ended;
    crawl.reaches(api.wait_until(|log| log.iter().any(held))).await?;
    broker.thaw()?;
    let ended = crawl.ended().await?;
    assert_eq!((ended.code, &ended.summary()?["whole"]), (Some(143), &false.into()), "{}", ended.stderr);
    let before = api.requests();
    // Each page withholds its last id until the next page.
    assert_eq!(ended.summary()?["objects"], 99 * (IN_HAND as u64 - 1));
    second.release();

    crawl_to_the_end(&world, &api).await?;
    let again = answered(&api.requests()[before.len()..]);
    assert!(answered(&before).is_disjoint(&again), "{before:?} {again:?}");
    each_page_once(&world, ASSETS).await
}

/// Two pages wait while the broker does not answer, so the next transaction contains both.
#[tokio::test]
async fn a_producer_killed_in_a_transaction_of_two_pages_publishes_each_once() -> Result<()> {
    let broker = Broker::start().await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let (mut crawl, first, second) = crawl_with_held_pages(&world, &api).await?;
    broker.freeze()?;
    // One page is being sent, then one of each lane waits.
    for (gate, pages) in [(first, 2), (second, 1)] {
        gate.release();
        for _ in 0..pages {
            crawl.logged(events::PAGE_RECEIVED).await?;
        }
    }
    broker.thaw()?;
    while crawl.logged(events::RECORDS_DELIVERED).await?["records"].as_u64() < Some(2 * 99) {}
    crawl.kill().await?;

    crawl_to_the_end(&world, &api).await?;
    each_page_once(&world, ASSETS).await
}

async fn crawl_to_the_end(world: &World, api: &MockServer) -> Result<()> {
    assert_eq!(crawl(world, api)?.succeed().await?.summary()?["whole"], true);
    Ok(())
}
