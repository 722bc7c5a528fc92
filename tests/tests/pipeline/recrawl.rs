//! A second crawl writes only changed rows.

use std::sync::Arc;

use anyhow::Result;
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;

/// PostgreSQL's own record of each row's last write.
const WRITES: &str =
    "select domain || '/' || id, xmin::text || ' ' || ctid::text from socrata_datasets order by 1";

async fn writes(world: &World) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query_as(WRITES).fetch_all(world.pool()).await?)
}

async fn crawl_and_consume(world: &World, api: &MockServer) -> Result<Value> {
    world.crawl(api)?.succeed().await?;
    world.consume()?.succeed().await?.summary()
}

#[tokio::test]
async fn an_unchanged_catalog_writes_no_dataset_though_its_page_views_move() -> Result<()> {
    let world = World::new().await?;
    let monday = MockServer::start(Options::new(Synthetic::new(800, 6))).await?;
    crawl_and_consume(&world, &monday).await?;
    let before = writes(&world).await?;
    assert_eq!(before.len(), 800);
    let views = "select sum(page_views_total)::bigint from socrata_dataset_stats";
    let monday_views: i64 = sqlx::query_scalar(views).fetch_one(world.pool()).await?;

    let tuesday = MockServer::start(Options::new(Synthetic::new(800, 6).with_page_views_of(1))).await?;
    let summary = crawl_and_consume(&world, &tuesday).await?;
    assert_eq!(writes(&world).await?, before);
    assert_eq!(summary["records"]["datasets"]["unchanged"], 800);
    let tuesday_views: i64 = sqlx::query_scalar(views).fetch_one(world.pool()).await?;
    assert!(tuesday_views > monday_views);
    let runs: Vec<(i64, String)> =
        sqlx::query_as("select run, state from runs order by run").fetch_all(world.pool()).await?;
    assert_eq!(runs, [(1, "balanced".into()), (2, "balanced".into())]);
    Ok(())
}

#[tokio::test]
async fn a_changed_asset_changes_one_row() -> Result<()> {
    let world = World::new().await?;
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(300, 4).objects())?);
    let api = MockServer::start(Options::shared(Arc::clone(&catalog) as _)).await?;
    crawl_and_consume(&world, &api).await?;
    let before = writes(&world).await?;

    let id = catalog.ids()[123].clone();
    let mut object: Value = serde_json::from_slice(&catalog.get(&id).unwrap())?;
    object["resource"]["name"] = "Renamed".into();
    catalog.put(object.to_string())?;
    let summary = crawl_and_consume(&world, &api).await?;
    assert_eq!(summary["records"]["datasets"]["changed"], 1);
    assert_eq!(summary["records"]["datasets"]["unchanged"], 299);

    let after = writes(&world).await?;
    let written: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert_eq!(written.len(), 1);
    assert!(written[0].1.0.ends_with(&id));
    let name: String = sqlx::query_scalar("select name from socrata_datasets where id = $1")
        .bind(&id)
        .fetch_one(world.pool())
        .await?;
    assert_eq!(name, "Renamed");
    Ok(())
}
