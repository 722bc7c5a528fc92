//! Regions without an accepted full crawl are judged by the crawls of their domains.

use anyhow::Result;
use catalog_tests::history::History;

use super::{answer, execute, finding, findings, follow};

#[tokio::test]
async fn a_city_without_full_crawls_is_judged_by_its_own_crawls() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 30)]).await?;
    let world = &history.world;
    history.run(&["--domain", "a.example"]).await?;
    let checked = answer(world, &["--database-only"], 0).await?;
    let found = finding(&checked, "domain_crawl", "ok")?;
    assert!(found["found"].to_string().contains("crawl of a.example in us ended "), "{found}");
    assert!(findings(&checked, "full_crawl").is_empty(), "{checked}");
    // An incremental crawl notices nothing that is gone.
    execute(world, "update runs set ended_at = now() - interval '40 hours'").await?;
    history.run(&["--domain", "a.example", "--since", "auto"]).await?;
    let old = answer(world, &["--database-only"], 1).await?;
    let found = finding(&old, "domain_crawl", "warning")?;
    assert_eq!(found["run"], 1);
    assert_eq!(follow(world, found).await?.code, Some(0));
    assert_eq!(finding(&old, "last_crawl", "ok")?["run"], 2);
    // Each domain counts, and those of one crawl together.
    history.run(&["--domain", "b.example", "--domain", "a.example"]).await?;
    let checked = answer(world, &["--database-only"], 0).await?;
    assert!(finding(&checked, "domain_crawl", "ok")?["found"].to_string().contains("1 more domain"));
    execute(world, "update runs set ended_at = now() - interval '3 days'").await?;
    history.run(&["--domain", "b.example"]).await?;
    let half = answer(world, &["--database-only"], 2).await?;
    let levels: Vec<_> = findings(&half, "domain_crawl").iter().map(|found| found["level"].clone()).collect();
    assert_eq!(levels, ["critical", "ok"], "{half}");
    // A full crawl covers both, and from then on full ones are expected.
    history.run(&[]).await?;
    let full = answer(world, &["--database-only"], 0).await?;
    finding(&full, "full_crawl", "ok")?;
    assert!(findings(&full, "domain_crawl").is_empty(), "{full}");
    Ok(())
}

#[tokio::test]
async fn a_full_crawl_that_was_not_accepted_does_not_replace_the_crawls_of_domains() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&["--domain", "a.example"]).await?;
    history.take("a.example", 30)?;
    history.run(&[]).await?;
    assert_eq!(history.states().await?, [(1, "balanced".to_owned()), (2, "held".to_owned())]);
    let held = answer(&history.world, &["--database-only"], 1).await?;
    history.decide("reject", "2").await?;
    let rejected = answer(&history.world, &["--database-only"], 0).await?;
    for checked in [held, rejected] {
        assert_eq!(finding(&checked, "domain_crawl", "ok")?["run"], 1);
        assert!(findings(&checked, "full_crawl").is_empty(), "{checked}");
    }
    Ok(())
}

#[tokio::test]
async fn a_domain_without_active_rows_is_not_expected() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 30)]).await?;
    let world = &history.world;
    for domain in ["b.example", "a.example"] {
        history.run(&["--domain", domain]).await?;
    }
    let statements = "update runs set ended_at = now() - interval '3 days' where run = 1;
         insert into runs (region, run, state, mode, kinds, scope)
         values ('us', 3, 'ended', 'part', '{datasets}', '{misspelled.example}')";
    execute(world, statements).await?;
    let old = answer(world, &["--database-only"], 2).await?;
    let found: Vec<_> =
        findings(&old, "domain_crawl").iter().map(|found| (&found["run"], &found["level"])).collect();
    assert_eq!(found, [(&1.into(), &"critical".into()), (&2.into(), &"ok".into())], "{old}");
    execute(world, "update socrata_datasets set retired_at = now() where domain = 'b.example'").await?;
    let checked = answer(world, &["--database-only"], 0).await?;
    assert_eq!(finding(&checked, "domain_crawl", "ok")?["run"], 2);
    Ok(())
}
