//! A row that only the database refuses is a dead letter, and does not stop a rebuild.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use catalog_tests::history::History;
use catalog_tests::world::World;
use serde_json::Value;
use sqlx::AssertSqlSafe;

async fn execute(world: &World, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(world.pool()).await?;
    Ok(())
}

/// The number of refused rows per table.
fn refused(report: &Value) -> BTreeMap<&str, u64> {
    let tables = report["tables"].as_array().into_iter().flatten();
    let counts = tables.map(|reported| {
        (reported["table"].as_str().unwrap_or_default(), reported["refused"].as_u64().unwrap_or_default())
    });
    counts.filter(|(_, refused)| *refused > 0).collect()
}

/// Compares and repairs. Asserts that the refused assets are reported, and that nothing but `differing` differs.
async fn assert_refused(world: &World, assets: u64, differing: &[(&str, [u64; 3])]) -> Result<()> {
    let differing: BTreeMap<_, _> =
        differing.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect();
    let looked = world.verify_topics()?.run().await?;
    ensure!(looked.code == Some(i32::from(!differing.is_empty())), "{}", looked.stderr);
    let repaired = world.rebuild()?.succeed().await?;
    let expected = [("socrata_dataset_stats", assets), ("socrata_datasets", assets)];
    let expected: BTreeMap<_, _> = expected.into_iter().filter(|(_, assets)| *assets > 0).collect();
    for ended in [&looked, &repaired] {
        assert_eq!(ended.differences()?, differing);
        assert_eq!(refused(&ended.summary()?), expected);
    }
    let again = world.verify_topics()?.succeed().await?;
    assert_eq!((again.differences()?, refused(&again.summary()?)), (BTreeMap::new(), expected));
    Ok(())
}

#[tokio::test]
async fn rows_that_a_constraint_refuses_are_reported_and_the_rest_is_repaired() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let ids: Vec<String> =
        sqlx::query_scalar("select id from socrata_datasets order by id").fetch_all(world.pool()).await?;
    // One asset is refused from the second run on, with its older version in the tables.
    let check = format!("check (id <> '{}' or last_run < 2)", ids[0]);
    execute(world, format!("alter table socrata_dataset_stats add constraint test_check {check}")).await?;
    let renamed = history.catalog.get(&ids[0]).context("it is in the catalog")?;
    let mut renamed: Value = serde_json::from_slice(&renamed)?;
    renamed["resource"]["name"] = "Renamed".into();
    history.catalog.put(renamed.to_string())?;
    history.run(&[]).await?;
    assert_refused(world, 1, &[]).await?;

    execute(world, format!("update socrata_datasets set name = 'damaged' where id = '{}'", ids[1])).await?;
    execute(world, format!("delete from socrata_dataset_stats where id = '{}'", ids[2])).await?;
    let differing = [("socrata_dataset_stats", [1, 0, 0]), ("socrata_datasets", [0, 1, 0])];
    assert_refused(world, 1, &differing).await?;

    // It is still refused after its dead letter is discarded. A resolved dead letter loses its value, so the test keeps it.
    execute(world, "create table public.kept as select id, value from dead_letters".to_owned()).await?;
    world.ask(&["dead-letters", "discard", "--all"])?.succeed().await?;
    assert_refused(world, 1, &[]).await?;

    // Without the constraint nothing is reported once it is replayed.
    execute(world, "alter table socrata_dataset_stats drop constraint test_check".to_owned()).await?;
    execute(
        world,
        "update dead_letters set state = 'open', settled_at = null, value = kept.value
         from public.kept where kept.id = dead_letters.id"
            .to_owned(),
    )
    .await?;
    world.ask(&["dead-letters", "replay", "--all"])?.succeed().await?;
    assert_refused(world, 0, &[]).await?;

    // An open dead letter, as after a reset that replayed its record, hides no damage.
    execute(world, "update dead_letters set state = 'open', settled_at = null".to_owned()).await?;
    execute(world, format!("update socrata_datasets set name = 'damaged' where id = '{}'", ids[0])).await?;
    assert_refused(world, 0, &[("socrata_datasets", [0, 1, 0])]).await
}
