//! Unreadable records in a rebuild.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use catalog_tests::history::History;
use catalog_tests::world::{CATALOG, Sent, World, record_headers};

const HEADERS: [(&str, &str); 6] = record_headers("datasets");
const BAD: Option<&[u8]> = Some(b"{");

async fn partition_of(world: &World, id: &str) -> Result<(i32, String)> {
    let records = world.records("datasets").await?;
    let record = records.into_iter().find(|record| record.key.ends_with(id)).context("it was published")?;
    Ok((record.partition, record.key))
}

#[tokio::test]
async fn a_row_whose_newest_record_is_unreadable_stays() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    world.make_compacting_topics().await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 1)?;
    let (partition, key) = partition_of(world, &gone[0].id).await?;
    world
        .send("datasets", Sent { partition, key: Some(key.as_bytes()), value: BAD, headers: &HEADERS })
        .await?;
    // Two more runs without it. Their records let the broker compact all earlier segments.
    history.run(&[]).await?;
    history.run(&[]).await?;
    world.until_compacted().await?;
    let left = world.records("datasets").await?.into_iter().filter(|record| record.key == key);
    assert_eq!(left.map(|record| record.value).collect::<Vec<_>>(), [b"{"]);

    let before = world.contents("catalog", &CATALOG).await?;
    world.verify_topics()?.succeed().await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, BTreeMap::new());
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);
    Ok(())
}

#[tokio::test]
async fn the_dead_letter_limits_apply_to_records_that_the_live_tables_do_not_have() -> Result<()> {
    let history = History::new(&[("a.example", 20)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    for number in 0..4 {
        let key = format!("us/a.example/bad-{number}");
        let sent = Sent { partition: 0, key: Some(key.as_bytes()), value: BAD, headers: &HEADERS };
        world.send("datasets", sent).await?;
    }
    world.consume()?.succeed().await?;

    let strict = ["--max-dead-in-row", "3"];
    world.verify_topics()?.args(strict).succeed().await?;
    let fresh = ["--migrate", "--schema", "fresh"];
    let ended = world.rebuild()?.args(fresh).args(strict).run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    world.rebuild()?.args(fresh).succeed().await?;
    assert_eq!(world.contents("fresh", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    let letters = "select count(*) from fresh.dead_letters where state = 'open'";
    assert_eq!(sqlx::query_scalar::<_, i64>(letters).fetch_one(world.pool()).await?, 4);
    Ok(())
}
