//! `--since` with `--domain`: an incremental run continues from the run that saw all of these domains.

use std::sync::Arc;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::world::World;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const CITY: &str = "data.city.example";
const SANDBOX: &str = "sandbox.example";

fn put(catalog: &MemoryCatalog, id: &str, domain: &str, at: OffsetDateTime) -> Result<()> {
    let at = at.replace_millisecond(1)?.format(&Rfc3339)?;
    let resource = json!({ "id": id, "name": "x", "updatedAt": at });
    Ok(catalog.put(json!({ "resource": resource, "metadata": { "domain": domain } }).to_string())?)
}

/// Two domains that full crawls see, and one that only `--domain` finds.
async fn served() -> Result<(World, MockServer, Arc<MemoryCatalog>)> {
    let catalog = Arc::new(MemoryCatalog::new());
    let old = OffsetDateTime::UNIX_EPOCH;
    for (id, domain) in
        [("aaaa-aaaa", CITY), ("bbbb-bbbb", CITY), ("cccc-cccc", "other.example"), ("dddd-dddd", SANDBOX)]
    {
        put(&catalog, id, domain, old)?;
    }
    catalog.make_supplementary(SANDBOX);
    let api = MockServer::start(Options::shared(Arc::clone(&catalog))).await?;
    Ok((World::new().await?, api, catalog))
}

async fn cursor(world: &World) -> Result<Value> {
    let last = world.records("cursors").await?.pop().context("a cursor")?;
    Ok(serde_json::from_slice(&last.value)?)
}

#[tokio::test]
async fn auto_with_a_domain_lists_that_domain_and_moves_only_its_own_time() -> Result<()> {
    let (world, api, catalog) = served().await?;
    world.crawl(&api)?.succeed().await?;
    let of_region = cursor(&world).await?["complete_since"].clone();
    put(&catalog, "aaaa-aaaa", CITY, OffsetDateTime::now_utc())?;
    put(&catalog, "cccc-cccc", "other.example", OffsetDateTime::now_utc())?;

    let auto = ["--since", "auto", "--domain", CITY];
    let ended = world.crawl(&api)?.args(auto).succeed().await?.summary()?;
    assert_eq!((&ended["mode"], &ended["published"]["datasets"]), (&"since".into(), &1.into()));
    let requests = api.requests();
    let listed = requests.iter().filter(|request| request.param("order").is_some());
    assert!(listed.map(|request| request.param("domains")).all(|domains| domains == Some(CITY)));
    let after = cursor(&world).await?;
    assert_eq!(after["complete_since"], of_region);
    let own = json!([{ "domains": [CITY], "since": after["started_at"] }]);
    assert_eq!(after["domains_complete_since"], own);

    // The region continues from its own time, and sees the change of the other domain.
    let ended = world.crawl(&api)?.args(["--since", "auto"]).succeed().await?.summary()?;
    assert_eq!(ended["published"]["datasets"], 2);
    assert_eq!(cursor(&world).await?["domains_complete_since"], own);
    Ok(())
}

#[tokio::test]
async fn auto_with_a_domain_that_full_crawls_do_not_see_needs_a_crawl_of_that_domain() -> Result<()> {
    let (world, api, catalog) = served().await?;
    world.crawl(&api)?.succeed().await?;
    let auto = ["--since", "auto", "--domain", SANDBOX];
    let refused = world.crawl(&api)?.args(auto).run().await?;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("no run has seen all assets of sandbox.example"), "{}", refused.stderr);

    world.crawl(&api)?.args(["--domain", SANDBOX]).succeed().await?;
    put(&catalog, "dddd-dddd", SANDBOX, OffsetDateTime::now_utc())?;
    let ended = world.crawl(&api)?.args(auto).succeed().await?.summary()?;
    assert_eq!((&ended["mode"], &ended["published"]["datasets"]), (&"since".into(), &1.into()));
    Ok(())
}
