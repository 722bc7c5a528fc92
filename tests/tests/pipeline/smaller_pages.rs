//! A page that fails as a whole is requested in parts. An object that fails on its own is skipped and counted.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use catalog_tests::mock_server::{Catalog, Fault, Matcher, MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

/// The number of dataset records, none of which occurs twice.
async fn published(world: &World) -> Result<usize> {
    let records = world.records("datasets").await?;
    let keys: Vec<_> = records.iter().map(|record| &record.key).filter(|key| !key.contains('#')).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a record is there twice");
    Ok(keys.len())
}

/// Requests for more than `most` objects, except those after the last two ids, whose answer is always small.
fn large(most: u64, catalog: &Synthetic) -> Matcher {
    let last = [1, 2].map(|place| catalog.id(catalog.assets() - place));
    let is_small = move |id: &str| last.iter().any(|last| last == id);
    Matcher::any().limit_above(most).that(move |request| !request.param("scroll_id").is_some_and(&is_small))
}

/// Crawls 600 assets where answers of more than `most` objects meet the fault.
async fn crawl_in_parts(most: u64, fault: Fault) -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(600, 5);
    let large = large(most, &catalog);
    let api = MockServer::start(Options::new(catalog)).await?;
    let fault = api.fail(large, fault);
    let ended = world.crawl(&api)?.args(["--timeout", "1s"]).succeed().await?.summary()?;
    assert!(fault.fired() > 0);
    assert_eq!((published(&world).await?, &ended["skipped"]), (600, &0.into()));
    Ok(())
}

#[tokio::test]
async fn a_page_with_truncated_json_is_requested_in_parts() -> Result<()> {
    crawl_in_parts(30, Fault::CutJson).await
}

#[tokio::test]
async fn a_page_whose_connection_breaks_is_requested_in_parts() -> Result<()> {
    crawl_in_parts(12, Fault::CutConnection).await
}

#[tokio::test]
async fn a_page_that_never_comes_is_requested_in_parts() -> Result<()> {
    crawl_in_parts(99, Fault::Hang).await
}

#[tokio::test]
async fn a_page_that_stalls_is_requested_in_parts() -> Result<()> {
    crawl_in_parts(99, Fault::Stall).await
}

#[tokio::test]
async fn a_page_that_is_too_large_is_requested_in_parts() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(600, 5))).await?;
    let ended = world.crawl(&api)?.args(["--max-page-bytes", "400KiB"]).succeed().await?.summary()?;
    assert!(api.requests().iter().any(|request| request.is_page() && request.limit() < 100));
    assert_eq!((published(&world).await?, &ended["skipped"]), (600, &0.into()));
    Ok(())
}

#[tokio::test]
async fn an_unreadable_object_is_skipped_and_its_domain_shielded() -> Result<()> {
    let world = World::new().await?;
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(200, 5).objects())?);
    let object = |length| {
        format!(
            r#"{{"resource":{{"id":"h222-2222","name":"Vast","type":"dataset","description":"{}"}},
                "classification":{{}},"metadata":{{"domain":"a.example"}}}}"#,
            "x".repeat(length)
        )
    };
    let api = MockServer::start(Options::shared(Arc::clone(&catalog) as _)).await?;
    for (run, length, skipped) in [(1, 100, 0), (2, 600_000, 1)] {
        catalog.put_as("h222-2222", "a.example", object(length));
        let crawl = world.crawl(&api)?.args(["--max-page-bytes", "500KiB"]);
        assert_eq!(crawl.succeed().await?.summary()?["skipped"], skipped, "run {run}");
        world.consume()?.succeed().await?;
    }
    let state: (String, Option<String>) =
        sqlx::query_as("select state, reason from runs where run = 2").fetch_one(world.pool()).await?;
    assert_eq!(state, ("balanced".to_owned(), None));
    let shield: (String, String) = sqlx::query_as("select domain, reason from run_shields where run = 2")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(shield.0, "a.example");
    assert!(shield.1.contains("unreadable object: 1"), "{}", shield.1);
    let kept: bool =
        sqlx::query_scalar("select retired_at is null from socrata_datasets where id = 'h222-2222'")
            .fetch_one(world.pool())
            .await?;
    assert!(kept);
    Ok(())
}

#[tokio::test]
async fn an_object_that_never_comes_completely_is_skipped_after_the_retry_budget() -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(200, 5);
    let api = MockServer::start(Options::new(Synthetic::new(200, 5)).gzip(false)).await?;
    // The second page begins here, because the first one withholds its last id.
    api.fail(Matcher::pages().scroll_id(catalog.id(98)), Fault::CutConnection);
    let crawl = world.crawl(&api)?.args(["--concurrency", "1", "--retry-for", "1s"]);
    let ended = crawl.succeed().await?.summary()?;
    assert_eq!((published(&world).await?, &ended["skipped"]), (199, &1.into()));
    Ok(())
}

#[tokio::test]
async fn an_object_too_large_for_its_topic_is_a_dead_letter_and_the_crawl_continues() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::from_objects(Synthetic::new(200, 5).objects())?;
    let vast = format!(
        r#"{{"resource":{{"id":"h222-2222","name":"{}"}},"metadata":{{"domain":"a.example"}}}}"#,
        "x".repeat(9_000_000)
    );
    catalog.put_as("h222-2222", "a.example", vast);
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.succeed().await?;
    assert!(ended.stderr.contains("us/a.example/h222-2222"), "{}", ended.stderr);
    assert_eq!((published(&world).await?, &ended.summary()?["unkeyed"]), (200, &1.into()));
    Ok(())
}

#[tokio::test]
async fn a_run_stops_if_hardly_any_object_is_readable() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 2))).await?;
    // Enough for the list of domains.
    let flags = ["--concurrency", "1", "--max-page-bytes", "700"];
    let ended = world.crawl(&api)?.args(flags).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("several objects in a row are unreadable"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn an_answer_with_more_objects_than_requested_leaves_no_gap() -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(200, 5);
    let api = MockServer::start(Options::new(Synthetic::new(200, 5))).await?;
    // As from a cache that ignores the page size. The last object is after the lane's end.
    let [first, second] = [0, 1].map(|index| catalog.id(index));
    let ids = [first.as_str(), second.as_str(), "zzzz-zzzz"];
    let objects = ids.map(|id| format!(r#"{{"resource":{{"id":"{id}"}}}}"#)).join(",");
    let body = format!(r#"{{"results":[{objects},{{"reso"#);
    api.fail(
        Matcher::pages().scroll_id(""),
        Fault::Status { status: 200, retry_after: None, body: Some(body) },
    );
    let flags = ["--concurrency", "2", "--retry-for", "1s"];
    let ended = world.crawl(&api)?.args(flags).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    // The last error contains the bounds of the lane.
    let reported = "(lane up to i222-2222; the response has several objects, but one was requested)";
    assert!(ended.stderr.contains(reported), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn an_unreadable_object_whose_id_is_unknown_stops_the_run() -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(20, 2);
    let api = MockServer::start(Options::new(Synthetic::new(20, 2))).await?;
    let hang = api.fail(Matcher::pages().scroll_id(catalog.id(9)), Fault::Hang);
    let flags = ["--concurrency", "1", "--page-size", "2", "--timeout", "1s", "--retry-for", "1s"];
    let ended = world.crawl(&api)?.args(flags).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let bounds = format!("after id {:?} (lane up to the end; ", catalog.id(9));
    assert!(
        ended.stderr.contains(&bounds.replace('"', "\\\"")) || ended.stderr.contains(&bounds),
        "{}",
        ended.stderr
    );

    // Published pages are kept, and the rest follows once the API has recovered.
    assert_eq!(published(&world).await?, 10);
    hang.lift();
    world.crawl(&api)?.succeed().await?;
    assert_eq!(published(&world).await?, 20);
    Ok(())
}

#[tokio::test]
async fn a_small_page_without_objects_is_not_the_end() -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(300, 5);
    let api = MockServer::start(Options::new(Synthetic::new(300, 5))).await?;
    // Half a page contains nothing that the API can parse, and a whole page fails.
    api.drop_from_results((100..160).map(|index| catalog.id(index)));
    api.fail(large(70, &catalog), Fault::CutJson);
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).succeed().await?.summary()?;
    assert_eq!((published(&world).await?, &ended["skipped"]), (240, &0.into()));
    Ok(())
}
