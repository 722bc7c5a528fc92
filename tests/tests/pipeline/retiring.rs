//! A full crawl retires the assets that it does not see, and they become active when they are seen again.

use anyhow::Result;
use catalog_tests::history::{History, all_at};
use serde_json::Value;

const DOMAINS: [(&str, usize); 2] = [("a.example", 40), ("b.example", 40)];

/// PostgreSQL's own record of a row's last write.
async fn written(history: &History, id: &str) -> Result<String> {
    let query = "select xmin::text || ' ' || ctid::text from socrata_datasets where id = $1";
    Ok(sqlx::query_scalar(query).bind(id).fetch_one(history.world.pool()).await?)
}

#[tokio::test]
async fn assets_that_a_full_crawl_does_not_see_are_retired_until_they_return() -> Result<()> {
    let history = History::new(&DOMAINS).await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 3)?;
    let summary = history.run(&[]).await?;
    assert_eq!(
        (&summary["runs"][0]["state"], &summary["runs"][0]["retired"]),
        (&"balanced".into(), &3.into())
    );
    assert_eq!(history.retired().await?, all_at(&gone, 2));

    // A third run does not see them either, and they stay retired.
    let before = written(&history, &gone[0].id).await?;
    let summary = history.run(&[]).await?;
    assert_eq!(summary["runs"][0]["retired"], 0);
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    assert_eq!(written(&history, &gone[0].id).await?, before);

    // The first returns as it was, the second changed.
    history.catalog.put(gone[0].object.clone())?;
    let mut changed: Value = serde_json::from_slice(&gone[1].object)?;
    changed["resource"]["name"] = "Renamed".into();
    history.catalog.put(changed.to_string())?;
    let summary = history.run(&[]).await?;
    let datasets = &summary["records"]["datasets"];
    assert_eq!((&datasets["unchanged"], &datasets["changed"]), (&78.into(), &1.into()));
    assert_eq!(history.retired().await?, all_at(&gone[2..], 2));
    assert_ne!(written(&history, &gone[0].id).await?, before);
    Ok(())
}

#[tokio::test]
async fn other_runs_retire_nothing_but_reactivate_assets() -> Result<()> {
    let history = History::new(&DOMAINS).await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 3)?;
    for flags in [&["--limit", "30"][..], &["--since", "2000-01-01"], &["--datasets=false"]] {
        let summary = history.run(flags).await?;
        assert_eq!(summary["runs"][0]["state"], "ended", "{flags:?}");
        assert_eq!(history.retired().await?, [], "{flags:?}");
    }
    history.run(&[]).await?;
    assert_eq!(history.retired().await?, all_at(&gone, 5));
    history.catalog.put(gone[0].object.clone())?;
    history.run(&["--domain", "a.example"]).await?;
    assert_eq!(history.retired().await?, all_at(&gone[1..], 5));
    Ok(())
}

#[tokio::test]
async fn domains_hosts_and_agencies_record_their_last_run_and_are_never_retired() -> Result<()> {
    let history = History::new(&[("a.example", 100), ("b.example", 10)]).await?;
    history.run(&[]).await?;
    let gone = history.take("b.example", 10)?;
    history.run(&[]).await?;
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    for table in [
        "select domain, last_run from socrata_domains",
        "select host, last_run from socrata_hosts",
        "select host, max(last_run) from socrata_agencies group by host",
    ] {
        let mut rows: Vec<(String, i64)> = sqlx::query_as(table).fetch_all(history.world.pool()).await?;
        rows.sort();
        assert_eq!(rows, [("a.example".to_owned(), 2), ("b.example".to_owned(), 1)], "{table}");
    }
    Ok(())
}
