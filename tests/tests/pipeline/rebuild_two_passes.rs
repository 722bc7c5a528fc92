//! A rebuild applies only the newest version of each row, and gives the row that the consumers made of all versions.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::history::{History, all_at};
use catalog_tests::world::{CATALOG, Ended, Sent, TopicRecord, World};
use sqlx::AssertSqlSafe;

/// The first asset, as it was published in the first run.
struct Asset {
    record: TopicRecord,
    id: String,
}

impl Asset {
    async fn first(world: &World) -> Result<Self> {
        let records = world.records("datasets").await?;
        let record =
            records.into_iter().find(|record| !record.is_end_record()).context("it was published")?;
        let id = record.key.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Self { record, id })
    }

    /// Its value with another name.
    fn named(&self, name: &str) -> Result<Vec<u8>> {
        let mut value: serde_json::Value = serde_json::from_slice(&self.record.value)?;
        value["resource"]["name"] = name.into();
        Ok(value.to_string().into_bytes())
    }

    /// Publishes another version of it.
    async fn publish(&self, world: &World, (run, page): (&str, &str), value: Option<&[u8]>) -> Result<()> {
        let mut headers = self.record.headers.clone();
        headers.insert("run".to_owned(), run.to_owned());
        headers.insert("page".to_owned(), page.to_owned());
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (partition, key) = (self.record.partition, Some(self.record.key.as_bytes()));
        world.send("datasets", Sent { partition, key, value, headers: &headers }).await?;
        Ok(())
    }

    async fn name(&self, world: &World) -> Result<String> {
        let name = "select name from socrata_datasets where id = $1";
        Ok(sqlx::query_scalar(name).bind(&self.id).fetch_one(world.pool()).await?)
    }
}

/// Checks that the tables equal the topics, and that a rebuild restores the row of the asset. Returns the rebuild.
async fn check(world: &World, asset: &Asset) -> Result<Ended> {
    let before = world.contents("catalog", &CATALOG).await?;
    assert_eq!(world.verify_topics()?.succeed().await?.differences()?, BTreeMap::new());
    let remove = format!("delete from socrata_datasets where id = '{}'", asset.id);
    sqlx::query(AssertSqlSafe(remove)).execute(world.pool()).await?;
    let rebuilt = world.rebuild()?.succeed().await?;
    assert_eq!(rebuilt.differences()?, BTreeMap::from([("socrata_datasets".to_owned(), [1, 0, 0])]));
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    Ok(rebuilt)
}

fn rows_read_again(ended: &Ended) -> Vec<Option<u64>> {
    ended.logged(events::TOPICS_READ_AGAIN).iter().map(|line| line["rows"].as_u64()).collect()
}

#[tokio::test]
async fn an_unreadable_newest_version_leaves_the_row_of_an_earlier_one() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    history.run(&[]).await?;
    let asset = Asset::first(world).await?;
    asset.publish(world, ("3", "1"), Some(&asset.named("The newest readable one")?)).await?;
    asset.publish(world, ("3", "2"), Some(b"{")).await?;
    asset.publish(world, ("3", "3"), Some(b"[")).await?;
    let consumed = world.consume()?.succeed().await?.summary()?;
    assert_eq!(asset.name(world).await?, "The newest readable one", "{consumed}");

    let rebuilt = check(world, &asset).await?;
    assert_eq!(rows_read_again(&rebuilt), [Some(1)], "{}", rebuilt.stderr);
    assert_eq!(rebuilt.logged(events::NEWEST_VERSIONS_FOUND).len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_older_version_that_was_written_later_does_not_win() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let asset = Asset::first(world).await?;
    for (page, name) in [("7", "The newest"), ("2", "Older, but written later"), ("6", "Older too")] {
        asset.publish(world, ("2", page), Some(&asset.named(name)?)).await?;
    }
    world.consume()?.succeed().await?;
    assert_eq!(asset.name(world).await?, "The newest");

    let rebuilt = check(world, &asset).await?;
    assert_eq!(rows_read_again(&rebuilt), [], "{}", rebuilt.stderr);
    Ok(())
}

#[tokio::test]
async fn records_without_a_value_and_retired_assets_stay_as_they_are() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let gone = history.take("a.example", 2)?;
    history.run(&[]).await?;
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    let asset = Asset::first(world).await?;
    asset.publish(world, ("3", "1"), None).await?;
    world.consume()?.succeed().await?;

    let rebuilt = check(world, &asset).await?;
    assert_eq!(rows_read_again(&rebuilt), [], "{}", rebuilt.stderr);
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    // Superseded records are counted too.
    let mut records = 0;
    for topic in ["datasets", "domains", "hosts", "agencies"] {
        records += world.records(topic).await?.len();
    }
    assert_eq!(rebuilt.summary()?["records"], records);
    Ok(())
}
