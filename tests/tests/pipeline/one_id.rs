//! One id on several domains: each object is published once, for any page size.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use catalog_tests::mock_server::{Matcher, MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::json;

fn put(catalog: &MemoryCatalog, id: &str, domain: &str) -> Result<()> {
    let object = json!({ "resource": { "id": id, "name": "x" }, "metadata": { "domain": domain } });
    Ok(catalog.put_beside(object.to_string())?)
}

/// The keys of the published datasets in order, with duplicates.
async fn published(world: &World) -> Result<Vec<String>> {
    let records = world.records("datasets").await?;
    let mut keys: Vec<_> =
        records.iter().filter(|record| !record.is_end_record()).map(|r| r.key.clone()).collect();
    keys.sort();
    Ok(keys)
}

/// 60 ids, each on one to five domains, and the keys of all objects in order.
fn shared() -> Result<(MemoryCatalog, Vec<String>)> {
    let (catalog, mut keys) = (MemoryCatalog::new(), Vec::new());
    let ids = Synthetic::new(60, 2);
    for index in 0..60 {
        let id = ids.id(index);
        for domain in ["a", "b", "c", "d", "e"].iter().take(1 + usize::try_from(index)? % 5) {
            put(&catalog, &id, &format!("{domain}.example"))?;
            keys.push(format!("us/{domain}.example/{id}"));
        }
    }
    keys.sort();
    Ok((catalog, keys))
}

#[tokio::test]
async fn two_domains_with_one_id_are_two_records_with_pages_of_two_and_of_three() -> Result<()> {
    for size in ["2", "3"] {
        let world = World::new().await?;
        let catalog = MemoryCatalog::new();
        for (id, domain) in [
            ("aaaa-aaaa", "a.example"),
            ("aaaa-aaab", "a.example"),
            ("aaaa-aaab", "b.example"),
            ("aaaa-aaac", "a.example"),
        ] {
            put(&catalog, id, domain)?;
        }
        let api = MockServer::start(Options::new(catalog)).await?;
        let flags = ["--page-size", size, "--concurrency", "1"];
        let ended = world.crawl(&api)?.args(flags).succeed().await?.summary()?;
        assert_eq!(
            (&ended["published"]["datasets"], &ended["whole"]),
            (&4.into(), &true.into()),
            "pages of {size}"
        );
        let wanted =
            ["a.example/aaaa-aaaa", "a.example/aaaa-aaab", "a.example/aaaa-aaac", "b.example/aaaa-aaab"];
        assert_eq!(published(&world).await?, wanted.map(|key| format!("us/{key}")));
    }
    Ok(())
}

#[tokio::test]
async fn each_object_is_published_once_for_any_page_size_lanes_and_resume() -> Result<()> {
    for (size, lanes, again) in [("2", "1", "3"), ("3", "2", "1"), ("7", "4", "2")] {
        let world = World::new().await?;
        let (catalog, keys) = shared()?;
        let api = MockServer::start(Options::new(catalog)).await?;
        let mut gate = api.hold(Matcher::pages().nth(7));
        let crawl = || world.crawl(&api).map(|crawl| crawl.args(["--page-size", size]));
        let mut killed = crawl()?.args(["--concurrency", lanes]).start()?;
        killed.reaches(gate.arrived()).await?;
        killed.kill().await?;
        gate.release();
        let ended = crawl()?.args(["--concurrency", again]).succeed().await?.summary()?;
        assert_eq!((&ended["run"], &ended["whole"]), (&1.into(), &true.into()));
        assert_eq!(published(&world).await?, keys, "pages of {size}");
    }
    Ok(())
}

#[tokio::test]
async fn a_limit_includes_all_objects_of_the_last_id_and_a_cursor_continues_after_it() -> Result<()> {
    let world = World::new().await?;
    let (catalog, keys) = shared()?;
    let catalog = Arc::new(catalog);
    let api = MockServer::start(Options::shared(Arc::clone(&catalog))).await?;
    // Groups of 1, 2, 3, 4, 5: the fourth asset is the first of three with one id.
    let ended = world.crawl(&api)?.args(["--limit", "4"]).succeed().await?.summary()?;
    assert_eq!((&ended["objects"], &ended["whole"]), (&6.into(), &true.into()));
    let last = catalog.ids()[5].clone();
    world.crawl(&api)?.args(["--cursor", &last]).succeed().await?;
    assert_eq!(published(&world).await?, keys);
    Ok(())
}

#[tokio::test]
async fn withholding_an_id_costs_no_additional_request() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).succeed().await?.summary()?;
    assert_eq!(ended["published"]["datasets"], 1_000);
    let pages = api.requests().into_iter().filter(|request| request.is_page()).count();
    // 99 new assets per page make 11 pages. Two more requests find that nothing follows, as after an empty page.
    assert_eq!(pages, 11 + 2);
    assert_eq!(published(&world).await?.into_iter().collect::<BTreeSet<_>>().len(), 1_000);
    Ok(())
}
