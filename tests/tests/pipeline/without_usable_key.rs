//! Objects without a usable key become dead letters, each at least once, and put the run on hold.

use std::collections::BTreeSet;

use anyhow::Result;
use catalog_tests::mock_server::{Fault, Matcher, MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;

/// Odd objects, by the id under which the API sorts them.
const ODD: [(&str, &str); 7] = [
    ("5zzz-zzzz", r#"{"resource":{"name":"no id"},"metadata":{"domain":"a.example"}}"#),
    ("9zzz-zzzz", r#"{"resource":{"id":7},"metadata":{"domain":"a.example"}}"#),
    ("czzz-zzzz", r#"{"resource":{"id":""},"metadata":{"domain":"a.example"}}"#),
    ("7zzz-zzzz", r#"{"resource":{"id":" "},"metadata":{"domain":"a.example"}}"#),
    ("dzzz-zzzz", r#"{"resource":{"id":"N/A"},"metadata":{"domain":"a.example"}}"#),
    ("fzzz-zzzz", r#"{"resource":{"id":"fzzz-zzzz"},"metadata":{}}"#),
    // The API's last object.
    ("zzzz-zzzz", "[]"),
];

fn catalog() -> Result<MemoryCatalog> {
    let catalog = MemoryCatalog::from_objects(Synthetic::new(60, 2).objects())?;
    for (id, object) in ODD {
        catalog.put_as(id, "a.example", object);
    }
    Ok(catalog)
}

async fn check(world: &World, api: &MockServer, flags: &[&str]) -> Result<()> {
    let flags = ["--concurrency", "1"].iter().chain(flags).copied();
    let ended = world.crawl(api)?.args(flags).succeed().await?.summary()?;
    assert_eq!((&ended["unkeyed"], &ended["published"]["datasets"]), (&ODD.len().into(), &60.into()));
    let mut dead: Vec<_> = world.records("dead-letters").await?.into_iter().map(|dead| dead.value).collect();
    let mut odd: Vec<_> = ODD.iter().map(|(_, object)| object.as_bytes().to_vec()).collect();
    dead.sort();
    odd.sort();
    assert_eq!(dead, odd);
    Ok(())
}

#[tokio::test]
async fn objects_without_a_usable_key_are_dead_letters_and_put_the_run_on_hold() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(catalog()?)).await?;
    check(&world, &api, &[]).await?;
    world.consume()?.succeed().await?;
    // One of the seven has neither an id nor a domain.
    let (state, reason): (String, String) =
        sqlx::query_as("select state, reason from runs").fetch_one(world.pool()).await?;
    assert!(state == "held" && reason.starts_with("1 object"), "{reason}");
    assert!(reason.contains("could not be turned into records"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn objects_without_a_usable_key_are_counted_once_for_any_page_size() -> Result<()> {
    for size in ["2", "3", "7"] {
        let world = World::new().await?;
        let api = MockServer::start(Options::new(catalog()?)).await?;
        check(&world, &api, &["--page-size", size]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn objects_without_a_usable_key_between_two_lanes_are_counted_at_least_once() -> Result<()> {
    // Two lanes meet at i222-2222, and both may see the objects there.
    for (before, after) in
        [("hzzz-zzzz", "i222-2223"), ("hzzz-zzzy", "hzzz-zzzz"), ("i222-2223", "i222-2224")]
    {
        let world = World::new().await?;
        let catalog = MemoryCatalog::from_objects(Synthetic::new(60, 2).objects())?;
        catalog.put_as(before, "a.example", r#"{"resource":{"name":"one"}}"#);
        catalog.put_as(after, "a.example", r#"{"resource":{"name":"two"}}"#);
        let api = MockServer::start(Options::new(catalog)).await?;
        let ended = world.crawl(&api)?.args(["--concurrency", "2"]).succeed().await?.summary()?;
        assert_eq!(ended["published"]["datasets"], 60);
        assert_dead_letters(
            &world,
            &ended,
            &[r#"{"resource":{"name":"one"}}"#, r#"{"resource":{"name":"two"}}"#],
        )
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn objects_without_a_usable_key_after_the_last_id_are_counted_at_least_once() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::new();
    for id in ["3333-3333", "4444-4444"] {
        catalog.put_as(
            id,
            "a.example",
            format!(r#"{{"resource":{{"id":"{id}"}},"metadata":{{"domain":"a.example"}}}}"#),
        );
    }
    // In the interval of the last id, and in each later interval.
    let object = |id| format!(r#"{{"resource":{{"name":"{id}"}}}}"#);
    let without_id = ["5555-5555", "cccc-cccc", "kkkk-kkkk", "zzzz-zzzz"];
    for id in without_id {
        catalog.put_as(id, "a.example", object(id));
    }
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.args(["--concurrency", "4"]).succeed().await?.summary()?;
    assert_eq!(ended["published"]["datasets"], 2);
    let expected = without_id.map(object);
    assert_dead_letters(&world, &ended, &expected.each_ref().map(String::as_str)).await
}

/// Checks that the dead letters are these values, each at least once, and that the summary counts all of them.
async fn assert_dead_letters(world: &World, ended: &Value, expected: &[&str]) -> Result<()> {
    let dead = world.records("dead-letters").await?;
    assert_eq!(ended["unkeyed"], dead.len());
    let values: BTreeSet<Vec<u8>> = dead.into_iter().map(|dead| dead.value).collect();
    let expected: BTreeSet<Vec<u8>> = expected.iter().map(|value| value.as_bytes().to_vec()).collect();
    assert_eq!(values, expected);
    Ok(())
}

#[tokio::test]
async fn a_limit_filled_by_an_object_without_a_usable_key_does_not_stop_the_crawl() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::from_objects(Synthetic::new(20, 2).objects())?;
    catalog.put_as("2222-2222", "a.example", "{}");
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.args(["--limit", "1"]).succeed().await?.summary()?;
    assert_eq!((&ended["objects"], &ended["unkeyed"], &ended["whole"]), (&1.into(), &1.into(), &true.into()));
    Ok(())
}

#[tokio::test]
async fn an_invalid_entry_of_domains_is_a_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(60, 2))).await?;
    let body = r#"{"results":[{"domain":"a.example","count":60},{"domain":"b.example","count":null}]}"#;
    let odd = Fault::Status { status: 200, retry_after: None, body: Some(body.into()) };
    api.fail(Matcher::domains(), odd);
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((&ended["unkeyed"], &ended["published"]["domains"]), (&1.into(), &1.into()));
    let dead = world.records("dead-letters").await?;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].value, br#"{"domain":"b.example","count":null}"#);
    Ok(())
}

#[tokio::test]
async fn the_summary_lists_missed_objects_by_id_by_domain_and_as_entries_of_domains() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::from_objects(Synthetic::new(60, 2).objects())?;
    let linked = r#"{"resource":{},"permalink":"https://a.example/d/kkkk-kkkk"}"#;
    for (id, object) in ODD.iter().chain(&[("kkkk-kkkk", linked)]) {
        catalog.put_as(id, "a.example", *object);
    }
    catalog.declare("a b", 7);
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    let records = world.records("datasets").await?;
    let markers = records.iter().filter(|record| record.is_end_record());
    for marker in markers {
        let marker: serde_json::Value = serde_json::from_slice(&marker.value)?;
        assert_eq!((&marker["unkeyed"], &marker["bad_domains"]), (&9.into(), &1.into()));
        assert_eq!(marker["unkeyed_by"], serde_json::json!({ "a.example": 5 }));
        let mut ids: Vec<_> = marker["unread_ids"].as_array().into_iter().flatten().collect();
        ids.sort_by_key(|id| id.as_str());
        assert_eq!(ids, ["fzzz-zzzz", "kkkk-kkkk"]);
        for field in ["bad_domains", "unkeyed_by", "unread_ids"] {
            assert_eq!(ended[field], marker[field]);
        }
    }
    // The last one has neither.
    assert_eq!(ended["unknown"], 1);
    let reported = world.status()?.succeed().await?;
    assert!(
        reported.stdout.contains("missed  2 with an id (") && reported.stdout.contains("1 entry of /domains"),
        "{}",
        reported.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_page_of_one_object_without_an_id_does_not_stop_the_crawl() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(catalog()?)).await?;
    // With a page size of 1 there is no id to continue after.
    api.fail_times(3, Matcher::pages().limit_above(1), Fault::CutJson);
    check(&world, &api, &["--page-size", "8"]).await
}

#[tokio::test]
async fn an_object_without_a_usable_key_before_an_unreadable_object_is_not_lost() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::from_objects(Synthetic::new(60, 2).objects())?;
    let vast = format!(r#"{{"resource":{{"id":"h222-2223","name":"{}"}}}}"#, "x".repeat(600_000));
    catalog.put_as("h222-2222", "a.example", r#"{"resource":{}}"#);
    catalog.put_as("h222-2223", "a.example", vast);
    let api = MockServer::start(Options::new(catalog)).await?;
    let flags = ["--concurrency", "1", "--max-page-bytes", "500KiB"];
    let ended = world.crawl(&api)?.args(flags).succeed().await?.summary()?;
    assert_eq!((&ended["skipped"], &ended["unkeyed"]), (&1.into(), &1.into()));
    assert_eq!(ended["published"]["datasets"], 60);
    Ok(())
}
