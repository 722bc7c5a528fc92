//! A domain that loses suspiciously many assets is shielded: its rows stay, and the run retires those of other domains.

use anyhow::Result;
use catalog_tests::history::{History, all_at};
use serde_json::{Value, json};

/// The notes of `verify` about shielded domains.
async fn noted(history: &History) -> Result<Vec<Value>> {
    let report = history.world.ask(&["verify", "--json"])?.succeed().await?.summary()?;
    let mut checks = report["checks"].as_array().into_iter().flatten();
    let check = checks.find(|check| check["name"] == "shielded_domains");
    Ok(check.and_then(|check| check["findings"].as_array()).cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_portal_that_breaks_is_shielded_and_the_others_retire() -> Result<()> {
    let history = History::new(&[("a.example", 100), ("b.example", 20), ("c.example", 19)]).await?;
    history.run(&[]).await?;
    // A small domain may lose all assets, and a large one half of them.
    let gone = [history.take("a.example", 3)?, history.take("b.example", 11)?, history.take("c.example", 9)?];
    let summary = history.run(&[]).await?;
    let run = &summary["runs"][0];
    let why = "more than half would be retired: 11 of 20";
    assert_eq!((&run["state"], &run["retired"]), (&"balanced".into(), &12.into()), "{run}");
    assert_eq!(run["shields"], json!({ "b.example": why }));
    let mut expected = [all_at(&gone[0], 2), all_at(&gone[2], 2)].concat();
    expected.sort();
    assert_eq!(history.retired().await?, expected);
    let finding = format!("run 2 did not see 11 of its assets, which are kept: {why}");
    assert_eq!(noted(&history).await?, [json!({ "what": "us/b.example", "finding": finding })]);

    // New tables apply the published decisions, and a rebuild gives the same.
    history.world.verify_topics()?.succeed().await?;
    history.world.rebuild()?.args(["--migrate", "--schema", "fresh"]).succeed().await?;
    let differing =
        "select count(*) from catalog.socrata_datasets as one join fresh.socrata_datasets as other
        using (region, domain, id) where one.retired_at is distinct from other.retired_at";
    let differing: i64 = sqlx::query_scalar(differing).fetch_one(history.world.pool()).await?;
    assert_eq!(differing, 0);

    // The assets return, and the note disappears.
    gone[1].iter().try_for_each(|asset| history.catalog.put(asset.object.clone()))?;
    history.run(&[]).await?;
    assert_eq!(noted(&history).await?, [] as [Value; 0]);
    Ok(())
}
