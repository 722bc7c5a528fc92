//! Consumers of a group share the partitions and hand them over.

use anyhow::Result;
use catalog_tests::double::{Double, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;

const BALANCED: [&str; 2] = [
    "select exists (select from runs where run = 1 and state = 'balanced')",
    "select exists (select from runs where run = 2 and state = 'balanced')",
];

fn applied(summary: &Value) -> u64 {
    let effects = summary["records"].as_object().into_iter().flat_map(|kinds| kinds.values());
    effects.filter_map(Value::as_object).flat_map(|effects| effects.values()).filter_map(Value::as_u64).sum()
}

fn published(summary: &Value) -> u64 {
    let kinds = summary["published"].as_object().into_iter().flat_map(|kinds| kinds.values());
    kinds.filter_map(Value::as_u64).sum()
}

#[tokio::test]
async fn two_consumers_share_and_the_second_takes_over_from_the_first() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let double = Double::start(Options::new(Synthetic::new(600, 5))).await?;
    // Makes the topics, so that there is something to share.
    let first_run = world.crawl(&double)?.succeed().await?.summary()?;
    let mut first = world.member()?.start()?;
    first.logged("partition assigned").await?;
    world.until(BALANCED[0]).await?;

    let mut second = world.member()?.start()?;
    second.logged("partition assigned").await?;
    let second_run = world.crawl(&double)?.succeed().await?.summary()?;
    world.until(BALANCED[1]).await?;
    first.terminate()?;
    let first = first.ended().await?;
    assert_eq!(first.code, Some(0), "{}", first.stderr);

    // What the first one gave up is assigned to the second, which is alone now.
    world.crawl(&double)?.succeed().await?;
    world.until("select exists (select from runs where run = 3 and state = 'balanced')").await?;
    second.terminate()?;
    let second = second.ended().await?;
    assert_eq!(second.code, Some(0), "{}", second.stderr);

    let (by_first, by_second) = (applied(&first.summary()?), applied(&second.summary()?));
    let each_run = published(&first_run);
    assert_eq!(each_run, published(&second_run));
    assert_eq!(by_first + by_second, 3 * each_run);
    assert!(by_first > each_run && by_second > each_run, "{by_first} and {by_second} of {each_run} a run");
    Ok(())
}

#[tokio::test]
async fn a_killed_consumers_partitions_are_taken_over() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let double = Double::start(Options::new(Synthetic::new(600, 5))).await?;
    world.crawl(&double)?.succeed().await?;
    let mut first = world.mortal()?.args(["--batch-size", "50"]).start()?;
    first.logged("batch applied").await?;
    first.kill().await?;
    let second = world.mortal()?.start()?;
    world.until(BALANCED[0]).await?;
    second.terminate()?;
    assert_eq!(second.ended().await?.code, Some(0));
    Ok(())
}
