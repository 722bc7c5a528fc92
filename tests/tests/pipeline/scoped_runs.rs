//! If a city crawls its own domain every night, assets that vanish there are retired.

use anyhow::Result;
use catalog_tests::history::{History, all_at};

#[tokio::test]
async fn crawling_one_domain_every_night_retires_what_vanishes_there() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 60)]).await?;
    history.run(&[]).await?;
    let mut expected = Vec::new();
    history.take("b.example", 5)?;
    for (night, name) in [(2, "a.example"), (3, "A.Example")] {
        let gone = history.take("a.example", 20)?;
        let summary = history.run(&["--domain", name]).await?;
        assert_eq!(summary["runs"][0]["state"], "balanced", "{summary}");
        expected.extend(all_at(&gone, night));
        expected.sort();
        assert_eq!(history.retired().await?, expected);
    }
    let active: i64 = sqlx::query_scalar(
        "select count(*) from socrata_datasets where domain = 'a.example' and retired_at is null",
    )
    .fetch_one(history.world.pool())
    .await?;
    assert_eq!(active, 20);
    history.world.verify_topics()?.succeed().await.map(drop)
}
