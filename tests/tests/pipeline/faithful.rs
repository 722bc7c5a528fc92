//! The tables contain what the API served, field by field.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use catalog_tests::mock_server::{Catalog, MockServer, Options};
use catalog_tests::oracle::{ROWS, expected_row, key};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;

/// Enough for every oddity, several pages per lane, and repeated agencies and hosts.
const ASSETS: u64 = 1_500;

fn served() -> Result<Vec<Value>> {
    let catalog = Synthetic::new(ASSETS, 12);
    let objects = catalog.objects().map(|object| serde_json::from_slice(&object));
    Ok(objects.collect::<Result<_, _>>()?)
}

async fn world() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 12))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    Ok(world)
}

#[tokio::test]
async fn datasets_and_stats_equal_what_was_served() -> Result<()> {
    let world = world().await?;
    let mut served = served()?;
    served.sort_by_key(key);
    let rows: Vec<Value> = sqlx::query_scalar(ROWS).fetch_all(world.pool()).await?;
    assert_eq!(rows.len(), served.len());
    for (row, object) in rows.iter().zip(&served) {
        assert_eq!(row, &expected_row("us", object));
    }
    Ok(())
}

#[tokio::test]
async fn domains_hosts_and_agencies_equal_what_was_served() -> Result<()> {
    let world = world().await?;
    let declared = Synthetic::new(ASSETS, 12)
        .domains()
        .into_iter()
        .map(|reported| (reported.domain, reported.count.cast_signed()));
    let domains: Vec<(String, i64)> =
        sqlx::query_as("select domain, declared_count from socrata_domains").fetch_all(world.pool()).await?;
    assert_eq!(domains.into_iter().collect::<BTreeMap<_, _>>(), declared.collect());

    let (mut hosts, mut agencies) = (BTreeMap::new(), BTreeSet::new());
    for object in served()? {
        let (domain, _) = key(&object);
        let link = object["permalink"].as_str().unwrap();
        let host = link.split('/').nth(2).unwrap().to_lowercase();
        if let Some(agency) =
            object["resource"]["attribution"].as_str().map(str::trim).filter(|name| !name.is_empty())
        {
            agencies.insert((host.clone(), agency.to_owned()));
        }
        hosts
            .entry(host)
            .and_modify(|known: &mut String| *known = domain.clone().min(known.clone()))
            .or_insert(domain);
    }
    let rows: Vec<(String, String)> =
        sqlx::query_as("select host, domain from socrata_hosts").fetch_all(world.pool()).await?;
    assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), hosts);
    let rows: Vec<(String, String)> =
        sqlx::query_as("select host, agency from socrata_agencies").fetch_all(world.pool()).await?;
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), agencies);
    Ok(())
}

#[tokio::test]
async fn the_ledger_balances_and_no_lag_is_left() -> Result<()> {
    let world = world().await?;
    let run: (String, String, i64, i64, i64) =
        sqlx::query_as("select state, mode, published, applied, dead from runs")
            .fetch_one(world.pool())
            .await?;
    let rows: i64 = sqlx::query_scalar(
        "select (select count(*) from socrata_datasets) + (select count(*) from socrata_domains)
              + (select count(*) from socrata_hosts) + (select count(*) from socrata_agencies)",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(run, ("balanced".into(), "full".into(), rows, rows, 0));
    let positions: Vec<(String, i32, i64)> =
        sqlx::query_as("select topic, partition, position from positions").fetch_all(world.pool()).await?;
    assert_eq!(positions.len(), 6);
    for (topic, partition, position) in positions {
        let (committed, end) = world.committed(&topic, partition).await?;
        assert_eq!((committed, position), (Some(end), end), "{topic}[{partition}]");
    }
    Ok(())
}
