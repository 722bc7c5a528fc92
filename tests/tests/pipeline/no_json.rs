//! Answers that are not valid JSON: one invalid object does not affect the others.

use anyhow::{Context, Result};
use catalog_tests::mock_server::{Fault, Matcher, MemoryCatalog, MockServer, Options, ReceivedRequest};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::{Value, json};

const ID: &str = "h222-2222";

fn catalog() -> Result<MemoryCatalog> {
    Ok(MemoryCatalog::from_objects(Synthetic::new(200, 5).objects())?)
}

/// An object of a.example with these bytes as a member.
fn object(id: &str, odd: &[u8]) -> Vec<u8> {
    let head = format!(r#"{{"resource":{{"id":"{id}","name":"x"}},"metadata":{{"domain":"a.example"}},"#);
    [head.as_bytes(), odd, b"}"].concat()
}

/// An end-of-run record of the run.
async fn marker(world: &World) -> Result<Value> {
    let records = world.records("datasets").await?;
    let marker = records.iter().find(|record| record.is_end_record()).context("a marker")?;
    Ok(serde_json::from_slice(&marker.value)?)
}

async fn judged(world: &World) -> Result<String> {
    world.consume()?.succeed().await?;
    Ok(sqlx::query_scalar("select state from runs").fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn an_object_that_is_not_json_is_a_dead_letter_with_its_bytes_and_all_others_are_published()
-> Result<()> {
    let odd: [(&[u8], &str); 4] = [
        (b"\"city\":\"Montr\xe9al\"", "0xE9 is not UTF-8 (RFC 8259, section 8.1)"),
        (b"\"city\":\"a\x0bb\"", "control character U+000B in a string (RFC 8259, section 7)"),
        (b"\"rows\":NaN", "NaN is not a value (RFC 8259, section 3)"),
        (b"\"rows\":[-Infinity]", "-Infinity is not a value"),
    ];
    for (odd, rule) in odd {
        let (world, catalog) = (World::new().await?, catalog()?);
        catalog.put_as(ID, "a.example", object(ID, odd));
        let api = MockServer::start(Options::new(catalog)).await?;
        let ended = world.crawl(&api)?.args(["--retry-for", "30s"]).succeed().await?.summary()?;
        assert_eq!(
            (&ended["objects"], &ended["published"]["datasets"]),
            (&201.into(), &200.into()),
            "{ended}"
        );
        assert_eq!((&ended["unkeyed"], &ended["unread_ids"]), (&1.into(), &json!([ID])));
        let dead = world.records("dead-letters").await?;
        assert_eq!(dead.iter().map(|dead| &dead.value).collect::<Vec<_>>(), [&object(ID, odd)]);
        assert!(dead[0].headers["reason"].contains(rule), "{:?}", dead[0].headers);
        let marker = marker(&world).await?;
        assert_eq!((&marker["seen"]["a.example"], &marker["unread_ids"]), (&1.into(), &json!([ID])));
    }
    Ok(())
}

#[tokio::test]
async fn one_invalid_byte_costs_one_more_request() -> Result<()> {
    let (world, catalog) = (World::new().await?, catalog()?);
    catalog.put_as(ID, "a.example", object(ID, b"\"city\":\"Montr\xe9al\""));
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).succeed().await?.summary()?;
    assert_eq!(ended["retries_by_cause"], json!({ "unreadable": 1 }));
    Ok(())
}

#[tokio::test]
async fn an_entry_of_domains_that_is_not_json_does_not_affect_the_others() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(60, 2))).await?;
    let body = r#"{"results":[{"domain":"a.example","count":60},{"domain":"b.example","count":NaN}]}"#;
    api.fail(Matcher::domains(), Fault::Status { status: 200, retry_after: None, body: Some(body.into()) });
    let ended = world.crawl(&api)?.args(["--retry-for", "30s"]).succeed().await?.summary()?;
    assert_eq!((&ended["bad_domains"], &ended["published"]["domains"]), (&1.into(), &1.into()));
    assert_eq!((&ended["unkeyed"], &ended["unknown"]), (&1.into(), &0.into()));
    Ok(())
}

/// Whether the request looks for the end of an unreadable range of ids.
fn is_probe(request: &ReceivedRequest) -> bool {
    request.is_page() && request.limit() == 1
}

#[tokio::test]
async fn an_object_without_id_that_breaks_the_structure_is_a_skipped_range_and_puts_the_run_on_hold()
-> Result<()> {
    let (world, catalog) = (World::new().await?, catalog()?);
    catalog.put_as(ID, "a.example", r#"{"resource":{"name":"5" pipe"}}"#);
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).succeed().await?.summary()?;
    assert_eq!((&ended["published"]["datasets"], &ended["whole"]), (&200.into(), &true.into()), "{ended}");
    assert_eq!((&ended["skipped"], &ended["unknown"], &ended["unkeyed"]), (&1.into(), &1.into(), &0.into()));
    let probes = api.requests().into_iter().filter(is_probe).count();
    // In addition to the two requests that found that the object is unreadable on its own.
    assert!((30..=43).contains(&probes), "{probes}");
    assert_eq!(judged(&world).await?, "held");
    Ok(())
}

#[tokio::test]
async fn an_object_that_breaks_the_structure_after_its_id_is_skipped_by_that_id() -> Result<()> {
    let (world, catalog) = (World::new().await?, catalog()?);
    catalog.put_as(ID, "a.example", format!(r#"{{"resource":{{"id":"{ID}","name":"5" pipe"}}}}"#));
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((&ended["published"]["datasets"], &ended["skipped"]), (&200.into(), &1.into()), "{ended}");
    assert_eq!((&ended["unread_ids"], &ended["unknown"]), (&json!([ID]), &0.into()));
    Ok(())
}

#[tokio::test]
async fn many_objects_that_are_not_json_are_an_error_of_the_server() -> Result<()> {
    let (world, catalog) =
        (World::new().await?, MemoryCatalog::from_objects(Synthetic::new(20, 2).objects())?);
    for place in ["2222", "3333", "4444", "5555"] {
        let id = format!("h222-{place}");
        catalog.put_as(&id, "a.example", object(&id, b"\"rows\":NaN"));
    }
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("too many objects of one response are not valid JSON: 4 of 24"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_listing_by_date_also_reads_around_objects_that_are_not_json() -> Result<()> {
    let (world, catalog) = (World::new().await?, catalog()?);
    catalog.put_as(ID, "a.example", object(ID, b"\"rows\":NaN"));
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = world.crawl(&api)?.args(["--since", "2000-01-01"]).succeed().await?.summary()?;
    assert_eq!((&ended["objects"], &ended["unread_ids"]), (&201.into(), &json!([ID])));
    assert!(api.requests().iter().all(|request| request.param("scroll_id").is_none()));
    Ok(())
}
