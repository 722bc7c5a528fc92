//! `crawl --every`: crawls at slots, in between full crawls incremental ones, and what interrupts them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, Program, Running, World};
use serde_json::Value;

/// The next slot is years away, so nothing but the start crawls.
const NEVER: &str = "3650d";

async fn world_and_api() -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    Ok((world, api))
}

/// A scheduled crawl that is full once in ten years, and so incremental after the first one.
fn scheduled(world: &World, api: &MockServer, every: &str) -> Result<Program> {
    let flags = ["--every", every, "--full-every", NEVER, "--jitter", "0", "--concurrency", "1"];
    Ok(world.crawl(api)?.args(flags).args(["--metrics-addr", "0"]))
}

/// The summary of each crawl of a process.
fn summaries(ended: &Ended) -> Result<Vec<Value>> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[tokio::test]
async fn the_first_crawl_is_full_and_later_slots_are_incremental() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut producer = scheduled(&world, &api, "1s")?.start()?;
    for run in 1..=3 {
        let started = producer.logged(events::CRAWL_STARTED).await?;
        assert_eq!(started["run"], run, "{started}");
    }
    producer.terminate()?;
    let ended = producer.ended().await?;
    // It waits for a slot or crawls.
    assert!(matches!(ended.code, Some(0 | 143)), "{}", ended.stderr);
    let summaries = summaries(&ended)?;
    let modes: Vec<_> = summaries.iter().take(2).map(|summary| &summary["mode"]).collect();
    assert_eq!(modes, ["full", "since"], "{}", ended.stdout);
    // The requests of a summary are those of its crawl alone.
    assert!(summaries[1]["requests"].as_u64() < summaries[0]["requests"].as_u64(), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_producer_that_waits_is_healthy_and_ready_and_exits_0_at_sigterm() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut producer = scheduled(&world, &api, NEVER)?.start()?;
    let port = producer.watched().await?;
    let next = producer.logged(events::CRAWL_SCHEDULED).await?;
    let next = next["next"].as_str().context("a time")?.to_owned();
    let ready = port.until("/readyz", 200, |_| true).await?;
    assert_eq!(ready["reason"], format!("waiting for the crawl at {next}"));
    let healthy = port.until("/healthz", 200, |_| true).await?;
    assert_eq!((&healthy["last_crawl_failed"], &healthy["missed_slots"]), (&false.into(), &0.into()));
    let complete = "catalog_producer_crawls_total{region=\"us\",outcome=\"complete\"} 1\n";
    port.until_metrics(|text| text.contains(complete)).await?;
    producer.terminate()?;
    let ended = producer.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(summaries(&ended)?.len(), 1, "{}", ended.stdout);

    // A restart finds the catalog crawled, and waits for the next slot.
    let mut producer = scheduled(&world, &api, NEVER)?.start()?;
    producer.logged(events::CRAWL_SCHEDULED).await?;
    producer.terminate()?;
    let ended = producer.ended().await?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn sigterm_interrupts_a_crawl_and_the_next_start_continues_it_without_waiting() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut gate = api.hold(Matcher::pages().nth(4));
    let mut producer = scheduled(&world, &api, NEVER)?.start()?;
    producer.reaches(gate.arrived()).await?;
    producer.terminate()?;
    let ended = producer.ended().await?;
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert_eq!(summaries(&ended)?[0]["whole"], false);
    gate.release();

    let mut producer = scheduled(&world, &api, NEVER)?.start()?;
    let resumed = producer.logged(events::CRAWL_STARTED).await?;
    assert!(resumed["run"] == 1 && resumed["page"].as_u64() > Some(1), "{resumed}");
    producer.logged(events::CRAWL_SCHEDULED).await?;
    producer.terminate()?;
    assert_eq!(producer.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_failed_crawl_is_reported_and_a_later_slot_continues_its_run() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let fault = api.fail(Matcher::pages().that(|request| request.sequence > 3), Fault::status(503));
    let mut producer = scheduled(&world, &api, "1s")?.args(["--retry-for", "0"]).start()?;
    let port = producer.watched().await?;
    let failed = producer.logged(events::CRAWL_FAILED).await?;
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("503")), "{failed}");
    port.until_metrics(|text| text.contains("catalog_producer_last_crawl_failed{region=\"us\"} 1\n")).await?;
    assert_eq!(port.get("/healthz").await?.0, 200);
    drop(fault);
    api.heal();
    port.until_metrics(|text| text.contains("catalog_producer_last_crawl_failed{region=\"us\"} 0\n")).await?;
    producer.terminate()?;
    let ended = producer.ended().await?;
    let complete = summaries(&ended)?.into_iter().find(|summary| summary["whole"] == true);
    let complete = complete.with_context(|| ended.stdout.clone())?;
    assert_eq!((&complete["run"], &complete["objects"]), (&1.into(), &1_000.into()));
    Ok(())
}

#[tokio::test]
async fn slots_that_pass_during_a_crawl_are_counted_and_skipped() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut producer = scheduled(&world, &api, "1s")?.start()?;
    let port = producer.watched().await?;
    producer.logged(events::CRAWL_SCHEDULED).await?;
    // The crawl of a slot that takes longer than the interval.
    let mut gate = api.hold(Matcher::any());
    producer.reaches(gate.arrived()).await?;
    let missed = |text: &str| {
        let series = "catalog_producer_missed_slots_total{region=\"us\"} ";
        text.lines().find_map(|line| line.strip_prefix(series)?.parse::<u64>().ok())
    };
    // A slow machine may have missed others before.
    let before = missed(&port.until_metrics(|_| true).await?).context("the metric")?;
    // While it runs already.
    port.until_metrics(|text| missed(text) > Some(before + 2)).await?;
    let next = "catalog_producer_next_slot_seconds{region=\"us\"} -";
    port.until_metrics(|text| text.contains(next)).await?;
    assert_eq!((port.get("/healthz").await?.0, port.get("/readyz").await?.0), (200, 200));
    gate.release();
    while producer.logged(events::SLOTS_MISSED).await?["missed"].as_u64() <= Some(2) {}
    // At most one crawl follows late. Then the next one waits for its slot.
    producer.logged(events::CRAWL_SCHEDULED).await?;
    producer.terminate()?;
    producer.ended().await?;
    Ok(())
}

/// `--every`, so that a slot begins now and the next one in years: the eighth part of the time since 1970.
fn slot_begins_now() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("{}ns", now.as_nanos() / 8))
}

#[tokio::test]
async fn a_first_crawl_is_the_one_of_the_slot_in_which_it_starts() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut producer = scheduled(&world, &api, &slot_begins_now()?)?.start()?;
    let port = producer.watched().await?;
    producer.logged(events::CRAWL_STARTED).await?;
    // The slot needs no other crawl, and was not missed.
    producer.logged(events::CRAWL_SCHEDULED).await?;
    assert_eq!(port.until("/healthz", 200, |_| true).await?["missed_slots"], 0);
    producer.terminate()?;
    let ended = producer.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(events::SLOT_DONE), "{}", ended.stderr);
    assert_eq!(summaries(&ended)?.len(), 1, "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_slot_that_began_while_no_producer_ran_is_crawled_once() -> Result<()> {
    let (world, api) = world_and_api().await?;
    world.crawl(&api)?.succeed().await?;
    let every = slot_begins_now()?;
    let mut producer = scheduled(&world, &api, &every)?.start()?;
    assert_eq!(producer.logged(events::CRAWL_STARTED).await?["run"], 2);
    producer.logged(events::CRAWL_SCHEDULED).await?;
    producer.terminate()?;
    assert_eq!(producer.ended().await?.code, Some(0));
    // After another restart its run is found.
    let mut producer = scheduled(&world, &api, &every)?.start()?;
    assert_eq!(producer.logged(events::SLOT_DONE).await?["run"], 2);
    producer.logged(events::CRAWL_SCHEDULED).await?;
    producer.terminate()?;
    assert_eq!(producer.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn the_newer_of_two_scheduled_producers_takes_over_and_the_first_exits_3() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut gate = api.hold(Matcher::pages().nth(4));
    let mut first = scheduled(&world, &api, NEVER)?.start()?;
    first.reaches(gate.arrived()).await?;
    let mut second = scheduled(&world, &api, NEVER)?.start()?;
    second.logged(events::CRAWL_SCHEDULED).await?;
    gate.release();
    let first = first.ended().await?;
    assert_eq!(first.code, Some(3), "{}", first.stderr);
    assert!(first.error()?.contains("another producer of region us has taken over"), "{}", first.stderr);
    second.terminate()?;
    let second = second.ended().await?;
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(summaries(&second)?[0]["run"], 1);
    let records = world.records("datasets").await?;
    assert_eq!(records.iter().filter(|record| !record.is_end_record()).count(), 1_000);
    Ok(())
}

async fn three_slots(producer: &mut Running) -> Result<()> {
    for _ in 0..3 {
        producer.logged(events::CRAWL_SCHEDULED).await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_scheduled_producers_without_an_overlap_crawl_each_slot_once() -> Result<()> {
    let (world, api) = world_and_api().await?;
    // Both wait for the same slots. Whoever comes second finds its run ended, or takes it over.
    let mut first = scheduled(&world, &api, "2s")?.start()?;
    first.logged(events::CRAWL_SCHEDULED).await?;
    let mut second = scheduled(&world, &api, "2s")?.start()?;
    // Whoever is taken over ends with exit code 3.
    if three_slots(&mut second).await.is_err() {
        three_slots(&mut first).await?;
    }
    first.terminate().ok();
    second.terminate().ok();
    let (first, second) = (first.ended().await?, second.ended().await?);
    let codes = [first.code, second.code];
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 3 | 143))), "{}{}", first.stderr, second.stderr);
    assert_ne!(codes, [Some(3), Some(3)], "{}{}", first.stderr, second.stderr);
    let runs: Vec<Value> = [summaries(&first)?, summaries(&second)?].concat();
    let complete: Vec<_> =
        runs.iter().filter(|run| run["whole"] == true).map(|run| run["run"].as_u64()).collect();
    let mut distinct = complete.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), complete.len(), "a run was completed twice: {complete:?}");
    Ok(())
}

#[tokio::test]
async fn an_interrupted_run_with_other_parameters_ends_the_process_with_2() -> Result<()> {
    let (world, api) = world_and_api().await?;
    let mut gate = api.hold(Matcher::pages().nth(2));
    let mut part = world.crawl(&api)?.args(["--limit", "500"]).start()?;
    part.reaches(gate.arrived()).await?;
    part.terminate()?;
    part.ended().await?;
    gate.release();
    let refused = scheduled(&world, &api, NEVER)?.run().await?;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.error()?.contains("--limit"), "{}", refused.stderr);
    Ok(())
}
