//! Full crawls ignore a domain that only `--domain` finds.

use anyhow::Result;
use catalog_tests::history::History;
use serde_json::Value;

/// Crawls one domain by itself, hides it from full crawls, and then crawls everything twice.
async fn crawled_by_itself(assets: usize) -> Result<History> {
    let history = History::new(&[("a.example", 60), ("far.example", assets)]).await?;
    history.run(&["--domain", "far.example"]).await?;
    history.take("far.example", assets)?;
    for _ in 0..2 {
        history.run(&[]).await?;
    }
    Ok(history)
}

#[tokio::test]
async fn full_crawls_stay_balanced_and_retire_nothing_there() -> Result<()> {
    for assets in [48, 11] {
        let history = crawled_by_itself(assets).await?;
        let states = history.states().await?;
        assert!(states.iter().all(|(_, state)| state == "balanced"), "{assets}: {states:?}");
        assert_eq!(history.retired().await?, [], "{assets}");
        history.world.verify_topics()?.succeed().await?;
    }
    Ok(())
}

#[tokio::test]
async fn verify_notes_assets_that_no_crawl_can_retire() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("far.example", 11)]).await?;
    history.run(&["--domain", "far.example", "--limit", "11"]).await?;
    history.take("far.example", 11)?;
    history.run(&[]).await?;
    let report = history.world.ask(&["verify", "--json"])?.succeed().await?.summary()?;
    let mut checks = report["checks"].as_array().into_iter().flatten();
    let check = checks.find(|check| check["name"] == "beyond_reach").cloned().unwrap_or_default();
    assert_eq!(check["severity"], "note");
    let findings: Vec<&Value> = check["findings"].as_array().into_iter().flatten().collect();
    assert_eq!(findings.len(), 1, "{check}");
    assert_eq!(findings[0]["what"], "us/far.example");
    assert!(findings[0]["finding"].as_str().unwrap_or_default().starts_with("11 active assets"), "{check}");
    Ok(())
}
