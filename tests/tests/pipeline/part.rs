//! Partial runs: some domains, a limit, or from an id on.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use bytes::Bytes;
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;

const ASSETS: u64 = 1_000;

fn synthetic() -> Synthetic {
    Synthetic::new(ASSETS, 5)
}

async fn served() -> Result<(World, MockServer)> {
    Ok((World::new().await?, MockServer::start(Options::new(synthetic())).await?))
}

/// The id and domain of each asset, in id order.
fn assets() -> Result<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    let read = |object: Bytes| {
        let object: Value = serde_json::from_slice(&object)?;
        Ok((text(&object["resource"]["id"])?, text(&object["metadata"]["domain"])?))
    };
    synthetic().objects().map(read).collect()
}

fn ids() -> Result<Vec<String>> {
    Ok(assets()?.into_iter().map(|(id, _)| id).collect())
}

/// The ids of the published datasets, with duplicates.
async fn published(world: &World) -> Result<Vec<String>> {
    let records = world.records("datasets").await?;
    let keys = records.iter().filter(|record| !record.is_end_record()).map(|record| &record.key);
    let mut ids: Vec<String> = keys.filter_map(|key| Some(key.rsplit_once('/')?.1.to_owned())).collect();
    ids.sort();
    Ok(ids)
}

async fn state(world: &World) -> Result<(String, String)> {
    world.consume()?.succeed().await?;
    Ok(sqlx::query_as("select mode, state from runs").fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn chosen_domains_are_published_completely_and_no_others() -> Result<()> {
    let (world, api) = served().await?;
    let names: BTreeSet<String> = assets()?.into_iter().map(|(_, domain)| domain).collect();
    let [first, second] = [0, 2].map(|place| names.iter().nth(place).unwrap().clone());
    let flags = ["--domain", &second, "--domain", &first];
    let ended = world.crawl(&api)?.args(flags).succeed().await?.summary()?;
    assert_eq!((ended["mode"].as_str(), ended["whole"].as_bool()), (Some("part"), Some(true)));

    let theirs = assets()?.into_iter().filter(|(_, domain)| [&first, &second].contains(&domain));
    let theirs: Vec<String> = theirs.map(|(id, _)| id).collect();
    assert!(!theirs.is_empty() && (theirs.len() as u64) < ASSETS);
    assert_eq!(published(&world).await?, theirs);
    assert_eq!(state(&world).await?, ("part".into(), "balanced".into()));
    Ok(())
}

#[tokio::test]
async fn an_unknown_domain_is_refused_before_a_run_begins() -> Result<()> {
    let (world, api) = served().await?;
    for dry in [&[][..], &["--dry-run"]] {
        let flags = ["--domain", "nowhere.example"];
        let ended = world.crawl(&api)?.args(flags).args(dry.iter().copied()).run().await?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("Domain not found: nowhere.example (request "), "{}", ended.stderr);
    }
    // No run is left that would have to be discarded first.
    assert_eq!(world.crawl(&api)?.succeed().await?.summary()?["run"], 1);
    Ok(())
}

#[tokio::test]
async fn an_empty_partial_run_is_an_error_if_assets_are_declared() -> Result<()> {
    let (_, domain) = assets()?.swap_remove(0);
    for part in [["--limit", "500"], ["--domain", &domain]] {
        let (world, api) = served().await?;
        api.fail(Matcher::pages(), Fault::EmptyResults);
        let ended = world.crawl(&api)?.args(part).args(["--retry-for", "1s"]).run().await?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("/domains declares some"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_limit_is_exact_and_a_cursor_continues_after_it() -> Result<()> {
    let (world, api) = served().await?;
    let ids = ids()?;
    // With a limit there is one lane for any concurrency, because each lane begins at another id.
    let flags = ["--limit", "250", "--concurrency", "4"];
    let ended = world.crawl(&api)?.args(flags).succeed().await?.summary()?;
    assert_eq!((ended["objects"].as_u64(), ended["whole"].as_bool()), (Some(250), Some(true)));
    assert_eq!(published(&world).await?, ids[..250]);
    assert_eq!(state(&world).await?, ("part".into(), "ended".into()));

    let flags = ["--limit", "100", "--cursor", &ids[249]];
    world.crawl(&api)?.args(flags).succeed().await?;
    assert_eq!(published(&world).await?, ids[..350]);
    world.crawl(&api)?.args(["--cursor", &ids[349]]).succeed().await?;
    assert_eq!(published(&world).await?, ids);
    Ok(())
}

#[tokio::test]
async fn a_killed_partial_run_is_resumed_only_with_the_same_flags() -> Result<()> {
    let (world, api) = served().await?;
    let ids = ids()?;
    let limit = ["--limit", "350"];
    let gate = api.hold(Matcher::pages().scroll_id(&ids[197]));
    let mut crawl = world.crawl(&api)?.args(limit).start()?;
    // `/domains` and two pages of 99 new assets each. The third is held.
    for _ in 0..3 {
        crawl.logged(events::PAGE_PUBLISHED).await?;
    }
    crawl.kill().await?;
    gate.release();

    let other = world.crawl(&api)?.args(["--limit", "351"]).run().await?;
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("--restart"), "{}", other.stderr);
    assert!(other.stderr.contains("--limit was 350 and is 351 now"), "{}", other.stderr);
    let ended = world.crawl(&api)?.args(limit).succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), ended["objects"].as_u64()), (Some(1), Some(350)));
    assert_eq!(published(&world).await?, ids[..350]);
    assert_eq!(state(&world).await?, ("part".into(), "ended".into()));
    Ok(())
}

#[tokio::test]
async fn an_incremental_run_does_not_start_from_a_partial_run() -> Result<()> {
    let (world, api) = served().await?;
    world.crawl(&api)?.args(["--limit", "10"]).succeed().await?;
    let ended = world.crawl(&api)?.args(["--since", "auto"]).run().await?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--since auto: no run of this region"), "{}", ended.stderr);
    Ok(())
}
