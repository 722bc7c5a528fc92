//! Crawls of recorded exchanges: paging, rate limits, errors and resume, as `docs/reference/recordings.md` describes.

mod recording;
mod scenes;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{Ended, MockServer, Recorded, Recording};
use catalog_tests::world::World;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use scenes::Scene;

/// Values by key, as found in a topic or expected there.
type Records = BTreeMap<String, Vec<u8>>;

#[tokio::test]
async fn paging_publishes_exactly_what_the_recording_contains() -> Result<()> {
    let summary = whole_crawl(Scene::Paging, 0).await?;
    let recording = Recording::read(&Scene::Paging.folder())?;
    let bytes: usize = recording.exchanges().iter().map(|recorded| recorded.body.len()).sum();
    assert_eq!(
        (&summary["bytes"], &summary["requests"]),
        (&json!(bytes), &json!(recording.exchanges().len()))
    );
    Ok(())
}

#[tokio::test]
async fn rate_limits_are_waited_out() -> Result<()> {
    let throttled = |recorded: &&Recorded| recorded.status == Some(429);
    let recording = Recording::read(&Scene::RateLimits.folder())?;
    let limits: Vec<_> = recording.exchanges().iter().filter(throttled).collect();
    let with_header = limits.iter().filter(|limit| header(limit, "retry-after").is_some()).count();
    assert!(with_header > 0 && with_header < limits.len(), "both kinds of 429 are in the recording");
    let reported =
        limits.iter().filter_map(|limit| header(limit, "retry-after")?.parse::<u64>().ok()).sum::<u64>();
    let summary = whole_crawl(Scene::RateLimits, limits.len()).await?;
    assert_eq!(summary["retries_by_cause"], json!({ "throttled": limits.len() }));
    // It waited as long as `Retry-After` demands. There is no rate limit.
    assert!(reported > 0 && summary["paused_seconds"].as_f64() >= Some(reported as f64), "{summary}");
    assert_eq!(summary["limiter_seconds"], 0.0);
    Ok(())
}

#[tokio::test]
async fn temporary_errors_are_retried() -> Result<()> {
    whole_crawl(Scene::Errors, bad_answers(Scene::Errors)?).await?;
    Ok(())
}

#[tokio::test]
async fn all_kinds_of_errors_in_one_crawl_lose_no_record() -> Result<()> {
    let summary = whole_crawl(Scene::Mixed, bad_answers(Scene::Mixed)?).await?;
    let causes = json!({"throttled": 3, "server_error": 2, "network": 4, "unreadable": 1});
    assert_eq!(summary["retries_by_cause"], causes);
    Ok(())
}

#[tokio::test]
async fn too_large_pages_are_played_back() -> Result<()> {
    let recording = Recording::read(&Scene::TooLarge.folder())?;
    let large = recording.exchanges().iter().filter(|recorded| recorded.ended == Ended::TooLarge).count();
    let summary = whole_crawl(Scene::TooLarge, large).await?;
    assert_eq!(summary["retries_by_cause"], json!({ "too_large": large }));
    assert!(large > 0);
    Ok(())
}

#[tokio::test]
async fn a_refusal_ends_the_crawl_at_once() -> Result<()> {
    let (world, api) = (World::new().await?, Scene::Forbidden.play().await?);
    let ended = Scene::Forbidden.crawl(&world, &api, None).await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the API answered 403"), "{}", ended.stderr);
    all_was_played(&api)
}

#[tokio::test]
async fn an_interrupted_and_a_resumed_crawl_are_complete_together() -> Result<()> {
    whole_crawl(Scene::Resume, 0).await?;
    Ok(())
}

#[tokio::test]
async fn what_was_not_recorded_is_an_error() -> Result<()> {
    let (world, api) = (World::new().await?, Scene::Paging.play().await?);
    let ended = world.crawl(&api)?.args(["--page-size", "9", "--concurrency", "1"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("not in the recording"), "{}", ended.stderr);
    let unexpected = api.recording().context("it plays one")?.unexpected();
    let limit = ("limit".to_owned(), "9".to_owned());
    assert!(unexpected.len() == 1 && unexpected[0].query.contains(&limit), "{unexpected:?}");
    Ok(())
}

/// Crawls a recording to its end. Every exchange is played, no other is requested, and the published values
/// equal the objects of the valid answers byte for byte. Returns the summary.
async fn whole_crawl(scene: Scene, retries: usize) -> Result<Value> {
    let (world, api) = (World::new().await?, scene.play().await?);
    let ended = scene.crawl(&world, &api, None).await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary = ended.summary()?;
    assert_eq!((summary["whole"].as_bool(), summary["retries"].as_u64()), (Some(true), Some(retries as u64)));
    all_was_played(&api)?;
    let recording = api.recording().context("it plays one")?;
    assert_eq!(records(&world, "datasets").await?, recorded_objects(recording)?);
    let domains = records(&world, "domains").await?;
    let reported: Vec<_> = recording.exchanges().iter().filter_map(declared).flatten().collect();
    assert_eq!(domains.len(), reported.len());
    for (domain, count) in reported {
        let value: Value = serde_json::from_slice(&domains[&format!("us/{domain}")])?;
        assert_eq!((&value["domain"], &value["declared_count"]), (&domain.into(), &count.into()));
    }
    Ok(summary)
}

/// The number of answers that are neither a page nor a list of domains.
fn bad_answers(scene: Scene) -> Result<usize> {
    let recording = Recording::read(&scene.folder())?;
    let bad = recording.exchanges().iter().filter(|recorded| objects(recorded).is_none());
    let bad = bad.filter(|recorded| declared(recorded).is_none()).count();
    assert!(bad > 0, "{} holds no bad answer", scene.name());
    Ok(bad)
}

fn all_was_played(api: &MockServer) -> Result<()> {
    let recording = api.recording().context("it plays one")?;
    assert_eq!(recording.unexpected(), []);
    let unplayed: Vec<_> = recording.unplayed().into_iter().map(|left| left.request).collect();
    assert_eq!(unplayed, []);
    Ok(())
}

/// A topic's records without end-of-run records. Each key occurs once in these crawls.
async fn records(world: &World, topic: &str) -> Result<Records> {
    let mut records = Records::new();
    for record in world.records(topic).await?.into_iter().filter(|record| !record.is_end_record()) {
        let twice = records.insert(record.key.clone(), record.value).is_some();
        assert!(!twice, "{} was published twice", record.key);
    }
    Ok(records)
}

fn recorded_objects(recording: &Recording) -> Result<Records> {
    let pages = recording.exchanges().iter().filter_map(objects);
    pages.flatten().map(|object| Ok((key(&object)?, object.get().as_bytes().to_vec()))).collect()
}

fn key(object: &RawValue) -> Result<String> {
    let object: Value = serde_json::from_str(object.get())?;
    let domain = object["metadata"]["domain"].as_str().context("an object has a domain")?;
    let id = object["resource"]["id"].as_str().context("an object has an id")?;
    Ok(format!("us/{domain}/{id}"))
}

/// The objects of a valid page. None for any other answer.
fn objects(recorded: &Recorded) -> Option<Vec<Box<RawValue>>> {
    #[derive(Deserialize)]
    struct Page {
        results: Vec<Box<RawValue>>,
    }
    let good = recorded.status == Some(200) && !recorded.request.path.ends_with("/domains");
    let page: Option<Page> = good.then(|| serde_json::from_slice(&recorded.body).ok()).flatten();
    page.map(|page| page.results)
}

/// The counts of a valid list of domains. None for any other answer.
fn declared(recorded: &Recorded) -> Option<Vec<(String, u64)>> {
    let good = recorded.status == Some(200) && recorded.request.path.ends_with("/domains");
    let answer: Option<Value> = good.then(|| serde_json::from_slice(&recorded.body).ok()).flatten();
    let results = answer?["results"].as_array()?.clone();
    Some(
        results
            .iter()
            .filter_map(|reported| Some((reported["domain"].as_str()?.into(), reported["count"].as_u64()?)))
            .collect(),
    )
}

fn header<'a>(recorded: &'a Recorded, name: &str) -> Option<&'a str> {
    recorded.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
