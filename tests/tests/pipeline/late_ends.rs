//! If the end of a transaction reaches Kafka late, during the next transaction, no page is torn.
//!
//! `CATALOG_LATE_ENDS` sets how many ends are late (20). `CATALOG_LATE_SEED` repeats a failure, because the points
//! of delivery depend on the seed only.

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{LateEnd, Sent, World};
use futures::future::try_join_all;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::task::spawn_blocking;

use crate::draw::Draw;
use crate::producer_killed::each_page_once;

const SEED: u64 = 890;
const ENDS: usize = 20;
/// How many crawls run at the same time. Most of their time is waiting.
const CRAWLS: usize = 4;
const PAGE_SIZE: u64 = 25;
/// The most pages in a transaction: those of one lane that can wait.
const PAGES: u64 = 2;
/// The number of transactions before the first page: the claim and `/domains`.
const FIRST: u64 = 2;
/// The clients' timeout for an answer.
const SHORT_SOCKET_TIMEOUT: &str = "socket.timeout.ms=1500";
const TIMEOUT: Duration = Duration::from_secs(60);

impl Draw {
    fn late_end(&mut self, first: bool) -> LateEnd {
        let skip = self.below(2) + if first { FIRST } else { 0 };
        // A page is written to two partitions of datasets, to the cursor, and often to hosts and agencies.
        LateEnd { skip, silent: self.below(4) == 0, produces: 1 + self.below(3) }
    }
}

/// A number from the environment.
fn from_env<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
    default: T,
) -> Result<T> {
    env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| name.to_owned()))
}

#[tokio::test]
async fn ends_that_arrive_late_tear_no_page() -> Result<()> {
    let (seed, ends) = (from_env("CATALOG_LATE_SEED", SEED)?, from_env("CATALOG_LATE_ENDS", ENDS)?);
    let crawls = (0..CRAWLS).map(|crawl| crawled_with_late_ends(seed + crawl as u64, ends.div_ceil(CRAWLS)));
    try_join_all(crawls).await.with_context(|| format!("with CATALOG_LATE_SEED={seed}"))?;
    Ok(())
}

/// Crawls enough pages, with some transactions that end late. The run must be complete.
async fn crawled_with_late_ends(seed: u64, ends: usize) -> Result<()> {
    let mut draw = Draw(seed);
    let planned: Vec<_> = (0..ends).map(|number| draw.late_end(number == 0)).collect();
    let assets = (FIRST + 2 * ends as u64 + 3) * PAGES * PAGE_SIZE;
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(assets, 8))).await?;
    let proxy = world.kafka_proxy(planned).await?;
    let crawl = world.crawl(&api)?.args(["--concurrency", "1", "--page-size", &PAGE_SIZE.to_string()]);
    let crawl = crawl.args(["--kafka-option", SHORT_SOCKET_TIMEOUT]).env("KAFKA_BROKERS", proxy.address());
    let ended = crawl.within(Duration::from_secs(600)).succeed().await?;
    let answers = proxy.answers();
    ensure!(answers.len() == ends, "{} of {ends} were late\n{}", answers.len(), ended.stderr);
    each_page_once(&world, assets).await?;
    ensure!(!answers.contains(&0), "a late end has ended another transaction: {answers:?}");
    ensure!(!ended.stderr.contains("EndTxn"), "a debug line of librdkafka is in the log");
    let summary = world.consume()?.succeed().await?.summary()?;
    ensure!(summary["runs"][0]["state"] == "balanced", "{summary}");
    Ok(())
}

/// The premise of the test above: if a producer keeps its instance, the late end commits half of its next
/// page, even if it aborts that page.
#[tokio::test]
async fn a_late_end_tears_the_page_of_a_producer_that_keeps_its_instance() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(10, 1))).await?;
    world.crawl(&api)?.args(["--limit", "1"]).succeed().await?;
    for silent in [false, true] {
        let proxy = world.kafka_proxy(vec![LateEnd { skip: 0, silent, produces: 1 }]).await?;
        let mut config = world.kafka();
        config.set("bootstrap.servers", proxy.address()).set("socket.timeout.ms", "1500");
        assert_eq!(torn(&world, &config, &silent.to_string()).await?, 1, "silent: {silent}");
        assert_eq!(proxy.answers(), [0]);
    }
    Ok(())
}

/// Commits a page whose end arrives late, then aborts the next page. Returns how many of the aborted records
/// are visible.
async fn torn(world: &World, config: &ClientConfig, name: &str) -> Result<usize> {
    let mut config = config.clone();
    config.set("transactional.id", world.topic(name)).set("linger.ms", "0");
    let producer: FutureProducer = config.create()?;
    let client = producer.clone();
    spawn_blocking(move || client.init_transactions(TIMEOUT)).await??;
    producer.begin_transaction()?;
    ensure!(send_page(&world.topic("datasets"), &producer, "first").await == 2);
    let client = producer.clone();
    spawn_blocking(move || client.commit_transaction(TIMEOUT)).await??;
    producer.begin_transaction()?;
    let aborted = format!("aborted-{name}");
    send_page(&world.topic("datasets"), &producer, &aborted).await;
    // It may fail, because the transaction has already ended on the broker.
    let _ = spawn_blocking(move || producer.abort_transaction(TIMEOUT)).await?;
    let seen = world.records("datasets").await?;
    Ok(seen.iter().filter(|record| record.key == aborted).count())
}

/// Sends a record to each of two partitions. Returns how many were accepted.
async fn send_page(topic: &str, producer: &FutureProducer, key: &str) -> usize {
    let send = |partition| {
        producer.send_result(FutureRecord::to(topic).partition(partition).key(key).payload("{}")).ok()
    };
    let sent: Vec<_> = [0, 1].map(send).into_iter().flatten().collect();
    let mut taken = 0;
    for delivery in sent {
        taken += usize::from(matches!(delivery.await, Ok(Ok(_))));
    }
    taken
}

/// Tears a page by hand: one of its records is committed twice.
#[tokio::test]
async fn verify_names_a_torn_page_by_run_topic_and_partition() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(400, 3))).await?;
    let mut gate = api.hold(Matcher::pages().that(|request| request.sequence > 3));
    let mut crawl = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    crawl.reaches(gate.arrived()).await?;
    // `/domains` and a page.
    for _ in 0..2 {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    let twice = world.records("datasets").await?.into_iter().next().context("a page is there")?;
    let headers: Vec<_> = twice.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let (key, value) = (Some(twice.key.as_bytes()), Some(&*twice.value));
    world.send("datasets", Sent { partition: twice.partition, key, value, headers: &headers }).await?;
    gate.release();
    ensure!(crawl.ended().await?.code == Some(0));
    world.consume()?.succeed().await?;

    let ended = world.ask(&["verify", "--json"])?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let report = ended.summary()?;
    let check = report["checks"].as_array().into_iter().flatten().find(|check| check["name"] == "torn_pages");
    let what = format!("run 1 of us, {}[{}]", world.topic("datasets"), twice.partition);
    ensure!(check.is_some_and(|check| check["findings"][0]["what"] == what), "{report}");
    Ok(())
}
