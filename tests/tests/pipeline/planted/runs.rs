//! A run on hold, dead letters, and a producer that did not run for a day.

use anyhow::{Context, Result};
use catalog_tests::history::History;
use catalog_tests::world::{Operator, Sent};

use super::Fault;

/// Run 1 of 60 assets is in the tables.
async fn applied() -> Result<History> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    Ok(history)
}

/// Runs the first command in backquotes that begins so.
async fn follow(operator: &Operator<'_>, text: &str, start: &str) -> Result<()> {
    let command = text.split('`').skip(1).step_by(2).find(|span| span.starts_with(start));
    let ended = operator.run(command.with_context(|| format!("no {start} in {text}"))?).await?;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    Ok(())
}

#[tokio::test]
async fn held_run() -> Result<()> {
    let history = applied().await?;
    history.take("a.example", 30)?;
    history.run(&[]).await?;
    let operator = history.world.operator()?;
    let fault = Fault::named("held run")?;
    let found = fault.find(&operator, "run 2 of us").await?;
    assert_eq!((&found["region"], &found["run"]), (&"us".into(), &2.into()));
    let shown = operator.next(&found).await?;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    follow(&operator, &shown.stdout, "catalog-consumer runs approve").await?;
    fault.is_over(&operator).await?;
    assert_eq!(history.retired().await?.len(), 30);
    Ok(())
}

#[tokio::test]
async fn dead_letters() -> Result<()> {
    let history = applied().await?;
    let headers = [("kind", "hosts"), ("schema", "1"), ("region", "us"), ("run", "1"), ("page", "1")];
    let sent = Sent { key: Some(b"us/broken"), value: Some(b"?"), headers: &headers, ..Sent::default() };
    history.world.send("hosts", sent).await?;
    history.world.consume()?.succeed().await?;
    let operator = history.world.operator()?;
    let fault = Fault::named("dead letters")?;
    let found = fault.find(&operator, "1 open dead letter").await?;
    assert_eq!(found["value"], 1);
    let listed = operator.next(&found).await?;
    assert!(listed.code == Some(0) && listed.stdout.contains("us/broken"), "{}", listed.stdout);
    let resolved = operator.run("catalog-consumer dead-letters discard --all").await?;
    assert_eq!(resolved.code, Some(0), "{}", resolved.stderr);
    fault.is_over(&operator).await
}

#[tokio::test]
async fn producer_missing_for_a_day() -> Result<()> {
    let history = applied().await?;
    // The last crawl was a day and seven hours ago: the one of last night is missing.
    let earlier = "update runs set ended_at = ended_at - interval '31 hours'";
    sqlx::query(earlier).execute(history.world.pool()).await?;
    let operator = history.world.operator()?.env("CATALOG_API_URL", &history.api.url());
    let fault = Fault::named("producer missing for a day")?;
    let found = fault.find(&operator, "full crawl of us").await?;
    assert_eq!((&found["region"], &found["run"]), (&"us".into(), &1.into()));
    let shown = operator.next(&found).await?;
    assert!(shown.code == Some(0) && shown.stdout.contains("run 1"), "{}{}", shown.stdout, shown.stderr);
    history.run(&[]).await?;
    fault.is_over(&operator).await
}
