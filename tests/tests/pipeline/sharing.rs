//! Consumers of a group share the partitions and take over from each other.

use std::collections::BTreeSet;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, World};
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

/// The partitions of the log lines with this event, in order.
fn partitions(ended: &Ended, event: &str) -> Vec<(String, i64)> {
    let of = |line: Value| Some((line["topic"].as_str()?.to_owned(), line["partition"].as_i64()?));
    ended.logged(event).into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn two_consumers_share_and_the_second_takes_over_from_the_first() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(600, 5))).await?;
    // Creates the topics, so that there is something to share.
    let first_run = world.crawl(&api)?.succeed().await?.summary()?;
    let mut first = world.member()?.start()?;
    first.logged(events::PARTITION_ASSIGNED).await?;
    world.until(BALANCED[0]).await?;

    let mut second = world.member()?.start()?;
    second.logged(events::PARTITION_ASSIGNED).await?;
    let second_run = world.crawl(&api)?.succeed().await?.summary()?;
    world.until(BALANCED[1]).await?;
    first.terminate()?;
    let first = first.ended().await?;
    assert_eq!(first.code, Some(0), "{}", first.stderr);

    // The partitions of the first consumer are assigned to the second, which is now the only one.
    world.crawl(&api)?.succeed().await?;
    world.until("select exists (select from runs where run = 3 and state = 'balanced')").await?;
    second.terminate()?;
    let second = second.ended().await?;
    assert_eq!(second.code, Some(0), "{}", second.stderr);

    // Only the partitions that moved were revoked, and none was assigned twice.
    let (assigned, revoked) =
        (partitions(&first, events::PARTITION_ASSIGNED), partitions(&first, events::PARTITION_REVOKED));
    let moved: BTreeSet<_> = revoked.iter().collect();
    assert!(!moved.is_empty() && moved.len() < assigned.len(), "{revoked:?} of {assigned:?}");
    assert_eq!(assigned.len(), assigned.iter().collect::<BTreeSet<_>>().len(), "{assigned:?}");

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
    let api = MockServer::start(Options::new(Synthetic::new(600, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut first = world.short_session()?.args(["--batch-size", "50"]).start()?;
    first.logged(events::BATCH_APPLIED).await?;
    first.kill().await?;
    let second = world.short_session()?.start()?;
    world.until(BALANCED[0]).await?;
    second.terminate()?;
    assert_eq!(second.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_partition_that_is_added_while_a_consumer_runs_is_consumed() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(600, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    let member = world.member()?.start()?;
    world.until(BALANCED[0]).await?;
    world.add_partitions("datasets", 3).await?;
    world.crawl(&api)?.succeed().await?;
    world.until(BALANCED[1]).await?;
    let added: i64 = sqlx::query_scalar(
        "select new + changed + unchanged from run_partitions
         where run = 2 and topic like '%.datasets' and partition = 2 and published > 0",
    )
    .fetch_one(world.pool())
    .await?;
    assert!(added > 0);
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
