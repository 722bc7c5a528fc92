//! Incremental runs: assets updated since a time, or since the last run that saw every change.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MemoryCatalog, MockServer, Options, ReceivedRequest};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// Before all dates of the synthetic catalog.
const BEFORE_ALL: &str = "2000-01-01";

async fn served(assets: u64) -> Result<(World, MockServer, Arc<MemoryCatalog>)> {
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(assets, 4).objects())?);
    let api = MockServer::start(Options::shared(Arc::clone(&catalog))).await?;
    Ok((World::new().await?, api, catalog))
}

/// Renames an asset at a time.
fn edit(catalog: &MemoryCatalog, id: &str, at: OffsetDateTime) -> Result<()> {
    let mut object: Value = serde_json::from_slice(&catalog.get(id).context("it is there")?)?;
    object["resource"]["name"] = "Renamed".into();
    // The API writes milliseconds.
    object["resource"]["updatedAt"] = at.replace_millisecond(1)?.format(&Rfc3339)?.into();
    Ok(catalog.put(object.to_string())?)
}

/// A time in the region's last cursor.
async fn cursor_time(world: &World, field: &str) -> Result<OffsetDateTime> {
    let last = world.records("cursors").await?.pop().context("a cursor")?;
    let cursor: Value = serde_json::from_slice(&last.value)?;
    Ok(OffsetDateTime::parse(cursor[field].as_str().context("a time")?, &Rfc3339)?)
}

/// The ids of the datasets that a run has published, in order, with duplicates.
async fn published(world: &World, run: &str) -> Result<Vec<String>> {
    let records = world.records("datasets").await?;
    let of_run = records.iter().filter(|record| !record.is_end_record() && record.headers["run"] == run);
    let mut ids: Vec<String> = of_run.filter_map(|r| Some(r.key.rsplit_once('/')?.1.to_owned())).collect();
    ids.sort();
    Ok(ids)
}

async fn runs(world: &World) -> Result<Vec<(i64, String, String)>> {
    Ok(sqlx::query_as("select run, mode, state from runs order by run").fetch_all(world.pool()).await?)
}

fn is_listed(request: &ReceivedRequest) -> bool {
    request.param("order").is_some()
}

fn offsets(api: &MockServer) -> Vec<u64> {
    let requests = api.requests();
    let offset = |request: &ReceivedRequest| request.param("offset").and_then(|text| text.parse().ok());
    requests.iter().filter(|request| is_listed(request)).filter_map(offset).collect()
}

#[tokio::test]
async fn auto_publishes_what_was_updated_since_the_last_run_and_in_the_overlap() -> Result<()> {
    let (world, api, catalog) = served(300).await?;
    world.crawl(&api)?.succeed().await?;
    let began = cursor_time(&world, "started_at").await?;
    let ids = catalog.ids();
    edit(&catalog, &ids[250], OffsetDateTime::now_utc())?;
    edit(&catalog, &ids[7], began - Duration::minutes(30))?;
    edit(&catalog, &ids[99], began - Duration::hours(2))?;

    let auto = ["--since", "auto"];
    let dry = world.crawl(&api)?.args(auto).args(["--dry-run"]).succeed().await?.summary()?;
    let ended = world.crawl(&api)?.args(auto).succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), ended["mode"].as_str()), (Some(2), Some("since")));
    assert_eq!(dry["published"], ended["published"]);
    assert_eq!(ended["requests"], 2);
    assert_eq!(published(&world, "2").await?, [ids[7].clone(), ids[250].clone()]);
    assert_eq!(cursor_time(&world, "complete_since").await?, cursor_time(&world, "started_at").await?);

    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["new"], 300);
    let renamed: Vec<String> = sqlx::query_scalar("select id from socrata_datasets where name = 'Renamed'")
        .fetch_all(world.pool())
        .await?;
    assert_eq!(renamed.into_iter().collect::<BTreeSet<_>>(), [ids[7].clone(), ids[250].clone()].into());
    let ended = [(1, "full".into(), "balanced".into()), (2, "since".into(), "ended".into())];
    assert_eq!(runs(&world).await?, ended);

    world.crawl(&api)?.args(auto).args(["--overlap", "3h"]).succeed().await?;
    assert_eq!(published(&world, "3").await?, [ids[7].clone(), ids[99].clone(), ids[250].clone()]);
    Ok(())
}

#[tokio::test]
async fn auto_without_a_run_before_it_is_refused() -> Result<()> {
    let (world, api, _) = served(50).await?;
    for flags in [&["--dry-run"][..], &[]] {
        let ended = world.crawl(&api)?.args(["--since", "auto"]).args(flags.iter().copied()).run().await?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("Crawl it once without --since"), "{}", ended.stderr);
    }
    assert_eq!(api.requests().len(), 0);
    // A crawl creates its topics, and none of them exists.
    assert_eq!(world.topics().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn auto_is_resumed_as_auto_and_refused_as_anything_else() -> Result<()> {
    let (world, api, catalog) = served(300).await?;
    world.crawl(&api)?.succeed().await?;
    edit(&catalog, &catalog.ids()[3], OffsetDateTime::now_utc())?;
    let mut gate = api.hold(Matcher::pages().that(is_listed));
    let mut crawl = world.crawl(&api)?.args(["--since", "auto"]).start()?;
    crawl.reaches(gate.arrived()).await?;
    crawl.kill().await?;
    gate.release();

    for other in [&[][..], &["--since", BEFORE_ALL], &["--since", "auto", "--overlap", "2h"]] {
        let refused = world.crawl(&api)?.args(other.iter().copied()).run().await?;
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.error()?.contains("--since was auto and is "), "{}", refused.stderr);
    }
    let ended = world.crawl(&api)?.args(["--since", "auto"]).succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), &ended["published"]["datasets"]), (Some(2), &1.into()));
    Ok(())
}

#[tokio::test]
async fn a_killed_listing_restarts_and_its_ledger_balances() -> Result<()> {
    let (world, api, catalog) = served(300).await?;
    let mut gate = api.hold(Matcher::pages().that(|request| request.param("offset") == Some("200")));
    let mut crawl = world.crawl(&api)?.args(["--since", BEFORE_ALL]).start()?;
    // It requests a page once the previous one is published.
    crawl.reaches(gate.arrived()).await?;
    crawl.kill().await?;
    gate.release();

    // An asset updated now comes first, and moves all others by one place.
    let ids = catalog.ids();
    edit(&catalog, &ids[150], OffsetDateTime::now_utc())?;
    let same = ["--since", "2000-01-01T01:00:00+01:00"];
    let ended = world.crawl(&api)?.args(same).succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), &ended["published"]["datasets"]), (Some(1), &500.into()));
    // The end is accepted when it came twice.
    assert_eq!(offsets(&api), [0, 100, 200, 0, 100, 200, 300, 300]);
    let once: BTreeSet<String> = published(&world, "1").await?.into_iter().collect();
    assert!(once.iter().eq(&ids));

    let summary = world.consume()?.succeed().await?.summary()?;
    let run = &summary["runs"][0];
    assert_eq!((run["state"].as_str(), &run["applied"]), (Some("ended"), &run["published"]));
    let count = "select count(*), count(*) filter (where name = 'Renamed') from socrata_datasets";
    assert_eq!(sqlx::query_as::<_, (i64, i64)>(count).fetch_one(world.pool()).await?, (300, 1));
    Ok(())
}

#[tokio::test]
async fn assets_that_the_api_omits_from_a_page_keep_their_places() -> Result<()> {
    let (world, api, catalog) = served(300).await?;
    let ids = catalog.ids();
    api.drop_from_results(ids[..30].iter().cloned());
    world.crawl(&api)?.args(["--since", BEFORE_ALL]).succeed().await?;
    assert_eq!(offsets(&api), [0, 100, 200, 300, 300]);
    assert_eq!(published(&world, "1").await?, ids[30..]);
    Ok(())
}

/// An answer with these assets.
fn answer(catalog: &MemoryCatalog, ids: &[String]) -> Fault {
    let texts = ids.iter().filter_map(|id| Some(String::from_utf8_lossy(&catalog.get(id)?).into_owned()));
    let body = format!(r#"{{"results":[{}]}}"#, texts.collect::<Vec<_>>().join(","));
    Fault::Status { status: 200, retry_after: None, body: Some(body) }
}

/// Ids by the date of the last update, oldest first.
fn by_date(catalog: &MemoryCatalog) -> Vec<String> {
    let date = |id: &String| -> Option<String> {
        let object: Value = serde_json::from_slice(&catalog.get(id)?).ok()?;
        Some(object["resource"]["updatedAt"].as_str()?.to_owned())
    };
    let mut ids = catalog.ids();
    ids.sort_by_cached_key(date);
    ids
}

/// Contradictory answers in place of the assets after the newest 100, and the reason in the log.
fn contradictory(catalog: &MemoryCatalog) -> [(Fault, &'static str); 3] {
    let oldest_first = by_date(catalog);
    let newest: Vec<_> = oldest_first.iter().rev().take(100).cloned().collect();
    [
        (Fault::EmptyResults, "no assets after 100 of 300 declared ones"),
        (answer(catalog, &newest), "repeats earlier ones"),
        (answer(catalog, &oldest_first[..100]), "don't descend"),
    ]
}

#[tokio::test]
async fn a_contradictory_listing_is_replaced_by_a_full_crawl() -> Result<()> {
    for number in 0..3 {
        let (world, api, catalog) = served(300).await?;
        let (fault, reason) = contradictory(&catalog)[number].clone();
        let after_first_page = |request: &ReceivedRequest| request.param("offset") == Some("100");
        let once = api.fail_once(Matcher::pages().that(after_first_page), fault.clone());
        let ended = world.crawl(&api)?.args(["--since", BEFORE_ALL]).succeed().await?.summary()?;
        // It is retried, and the listing is complete.
        assert_eq!((once.fired(), &ended["published"]["datasets"]), (1, &300.into()), "{reason}");
        assert_eq!(ended["retries_by_cause"]["contradiction"], 1);

        api.fail(Matcher::pages().that(after_first_page), fault);
        let ended = world.crawl(&api)?.args(["--since", BEFORE_ALL]).succeed().await?;
        let warnings = ended.logged(events::LISTING_INCOMPLETE);
        assert!(!warnings.is_empty(), "{}", ended.stderr);
        assert!(ended.stderr.contains(reason), "{reason}: {}", ended.stderr);
        let once: BTreeSet<String> = published(&world, "2").await?.into_iter().collect();
        assert!(once.iter().eq(&catalog.ids()), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_that_fail_as_a_whole_are_listed_in_parts() -> Result<()> {
    let (world, api, catalog) = served(300).await?;
    let large = api.fail(Matcher::pages().that(is_listed).limit_above(30), Fault::CutJson);
    let ended = world.crawl(&api)?.args(["--since", BEFORE_ALL]).succeed().await?.summary()?;
    assert!(
        large.fired() > 1 && api.requests().iter().all(|request| !request.is_page() || is_listed(request))
    );
    assert_eq!(
        (published(&world, "1").await?, &ended["published"]["datasets"]),
        (catalog.ids(), &300.into())
    );
    Ok(())
}

#[tokio::test]
async fn an_unreadable_asset_causes_a_full_crawl_from_which_auto_does_not_start() -> Result<()> {
    let (world, api, catalog) = served(300).await?;
    world.crawl(&api)?.succeed().await?;
    let complete = cursor_time(&world, "complete_since").await?;
    let ids = catalog.ids();
    let mut vast: Value = serde_json::from_slice(&catalog.get(&ids[150]).context("it is there")?)?;
    // Of the page after the id, which is readable that way.
    vast["resource"]["zone"] = "x".repeat(600_000).into();
    catalog.put(vast.to_string())?;
    edit(&catalog, &ids[150], OffsetDateTime::now_utc())?;
    let crawl = world.crawl(&api)?.args(["--since", "auto", "--max-page-bytes", "500KiB"]);
    let ended = crawl.succeed().await?.summary()?;
    assert_eq!((&ended["skipped"], &ended["whole"]), (&1.into(), &true.into()));
    assert_eq!(cursor_time(&world, "complete_since").await?, complete);
    Ok(())
}

#[tokio::test]
async fn beyond_ten_thousand_a_listing_becomes_a_full_crawl_that_can_be_resumed() -> Result<()> {
    const ASSETS: u64 = 10_200;
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 4))).await?;
    let crawl = || Ok::<_, anyhow::Error>(world.crawl(&api)?.args(["--since", BEFORE_ALL]));
    let gate = api.hold(Matcher::pages().that(|request| request.param("scroll_id").is_some()).nth(5));
    let mut killed = crawl()?.args(["--page-size", "3000"]).start()?;
    let warning = killed.logged(events::LISTING_INCOMPLETE).await?;
    assert_eq!(warning["reason"], "the API lists at most 10000 assets");
    killed.logged(events::PAGE_PUBLISHED).await?;
    killed.logged(events::PAGE_PUBLISHED).await?;
    killed.kill().await?;
    gate.release();
    assert_eq!(offsets(&api), [0, 3_000, 6_000, 9_000]);

    let ended = crawl()?.args(["--page-size", "1000"]).succeed().await?.summary()?;
    assert_eq!((ended["run"].as_u64(), ended["mode"].as_str()), (Some(1), Some("since")));
    assert_eq!(offsets(&api).len(), 4);
    let ids = published(&world, "1").await?;
    assert_eq!(ids.len() as u64, 10_000 + ASSETS);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len() as u64, ASSETS);
    world.consume()?.succeed().await?;
    assert_eq!(runs(&world).await?, [(1, "since".into(), "ended".into())]);
    Ok(())
}
