//! Unread records.

use anyhow::Result;
use catalog_tests::world::Sent;

use super::{answer, applied, finding};

#[tokio::test]
async fn unread_records_are_a_lag_in_records_and_in_time() -> Result<()> {
    let history = applied().await?;
    let limits = ["--lag-time-critical", "0s", "--lag-records-warning", "1"];
    answer(&history.world, &limits, 0).await?;
    history.crawl(&[]).await?;
    let behind = answer(&history.world, &limits, 2).await?;
    finding(&behind, "lag_time", "critical")?;
    let records = finding(&behind, "lag_records", "warning")?["value"].as_u64().unwrap_or_default();
    assert!(records >= 60, "{behind}");
    history.world.consume()?.succeed().await?;
    answer(&history.world, &limits, 0).await?;
    Ok(())
}

#[tokio::test]
async fn the_lag_in_time_begins_when_the_producer_observed_the_record() -> Result<()> {
    let world = applied().await?.world;
    let headers = [
        ("kind", "hosts"),
        ("schema", "1"),
        ("region", "us"),
        ("run", "1"),
        ("page", "1"),
        ("observed_at", "2020-01-01T00:00:00Z"),
    ];
    let sent = Sent { key: Some(b"us/late"), value: Some(b"{}"), headers: &headers, ..Sent::default() };
    world.send("hosts", sent).await?;
    let behind = answer(&world, &[], 2).await?;
    let found = finding(&behind, "lag_time", "critical")?;
    assert!(found["value"].as_u64().is_some_and(|age| age > 365 * 86_400), "{found}");
    Ok(())
}
