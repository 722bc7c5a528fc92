//! A rebuild copies the rows of an empty table of datasets straight from the topics, and gives the same tables as otherwise.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_tests::history::History;
use catalog_tests::world::{CATALOG, Ended, Sent, World};

const EMPTY: &str = "truncate socrata_datasets, socrata_dataset_stats";

async fn execute(world: &World, statement: &'static str) -> Result<()> {
    sqlx::raw_sql(statement).execute(world.pool()).await?;
    Ok(())
}

/// How often a rebuild copied the rows, and how often it could not.
fn copies(rebuilt: &Ended) -> (usize, usize) {
    (rebuilt.logged(events::ROWS_COPIED).len(), rebuilt.logged(events::ROWS_NOT_COPIED).len())
}

/// Three runs: assets change and are retired, and one has a newest version that can't be read.
async fn lived() -> Result<History> {
    let history = History::new(&[("a.example", 60), ("b.example", 20)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let gone = history.take("a.example", 3)?;
    for object in history.catalog.objects().iter().take(5) {
        let mut renamed: serde_json::Value = serde_json::from_slice(object)?;
        renamed["resource"]["name"] = "Renamed".into();
        history.catalog.put(renamed.to_string())?;
    }
    history.run(&[]).await?;
    history.run(&[]).await?;
    assert_eq!(history.retired().await?.len(), gone.len());
    let records = world.records("datasets").await?;
    let record = records.into_iter().find(|record| !record.is_marker()).context("it was published")?;
    let mut headers = record.headers.clone();
    headers.insert("run".to_owned(), "4".to_owned());
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (partition, key) = (record.partition, Some(record.key.as_bytes()));
    world.send("datasets", Sent { partition, key, value: Some(b"{"), headers: &headers }).await?;
    world.consume()?.succeed().await?;
    Ok(history)
}

#[tokio::test]
async fn an_emptied_table_and_a_new_schema_get_the_rows_of_the_consumers() -> Result<()> {
    let history = lived().await?;
    let world = &history.world;
    let before = world.contents("catalog", &CATALOG).await?;
    execute(world, EMPTY).await?;
    let rebuilt = world.rebuild()?.succeed().await?;
    assert_eq!(copies(&rebuilt), (1, 0), "{}", rebuilt.stderr);
    let missing = ["socrata_datasets", "socrata_dataset_stats"].map(|table| (table.to_owned(), [80, 0, 0]));
    assert_eq!(rebuilt.differences()?, BTreeMap::from(missing));
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    world.verify_topics()?.succeed().await?;

    let rebuilt = world.rebuild()?.args(["--migrate", "--schema", "fresh"]).succeed().await?;
    assert_eq!(copies(&rebuilt), (1, 0), "{}", rebuilt.stderr);
    assert_eq!(world.contents("fresh", &CATALOG).await?, before);
    assert_eq!(ledger(world, "fresh").await?, ledger(world, "catalog").await?);
    world.ask(&["verify", "--schema", "fresh"])?.succeed().await?;
    Ok(())
}

/// The sums of the ledger. What a record counts as depends on the batches: an earlier version in the same one is superseded.
async fn ledger(world: &World, schema: &'static str) -> Result<Vec<String>> {
    let counts = format!(
        "select (region, run, topic, partition, published, new + changed + unchanged + older, dead)::text
         from {schema}.run_partitions
         union all
         select (region, run, state, reason, published, applied, dead, retired)::text from {schema}.runs
         order by 1"
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(counts)).fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn a_table_that_refuses_a_row_is_filled_without_it() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let id: String =
        sqlx::query_scalar("select min(id) from socrata_datasets").fetch_one(world.pool()).await?;
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as
             $$ begin raise exception 'not this one'; end $$;
         create constraint trigger test_check after insert on socrata_datasets for each row
         when (new.id = '{id}') execute function refuse()"
    );
    execute(world, EMPTY).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(world.pool()).await?;

    let rebuilt = world.rebuild()?.run().await?;
    assert_eq!(rebuilt.code, Some(1), "{}", rebuilt.stderr);
    assert_eq!(copies(&rebuilt), (0, 1), "{}", rebuilt.stderr);
    ensure!(rebuilt.stderr.contains("refused 1 of the rows"), "{}", rebuilt.stderr);
    let rows: i64 =
        sqlx::query_scalar("select count(*) from socrata_datasets").fetch_one(world.pool()).await?;
    assert_eq!(rows, 59);
    Ok(())
}

#[tokio::test]
async fn rows_that_a_consumer_writes_beside_the_rebuild_stay() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    execute(world, EMPTY).await?;
    let paused = world.pause_before_lock(world.rebuild()?).await?;
    history.run(&[]).await?;
    let rebuilt = paused.finish().await?;
    assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.stderr);
    assert_eq!(copies(&rebuilt), (0, 1), "{}", rebuilt.stderr);
    world.verify_topics()?.succeed().await?;
    world.ask(&["verify"])?.succeed().await?;
    Ok(())
}
