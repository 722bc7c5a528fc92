//! A full crawl that looks incomplete is put on hold: it retires nothing until a person has decided.

use anyhow::Result;
use catalog_tests::history::{History, all_at};
use catalog_tests::world::TopicRecord;

/// The last run's state and reason.
async fn last(history: &History) -> Result<(String, Option<String>)> {
    let last = "select state, reason from runs order by run desc limit 1";
    Ok(sqlx::query_as(last).fetch_one(history.world.pool()).await?)
}

/// Asserts that the last run is on hold for this reason only, and that nothing is retired.
async fn assert_held(history: &History, why: &str) -> Result<()> {
    assert_eq!(last(history).await?, ("held".into(), Some(why.into())));
    assert_eq!(history.retired().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_ledger_that_does_not_balance_puts_a_run_on_hold() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.crawl(&[]).await?;
    let topic = history.world.topic("datasets");
    let of_first_partition = |record: &&TopicRecord| record.partition == 0 && !record.is_end_record();
    let first = history.world.records("datasets").await?.iter().filter(of_first_partition).count();
    // Its first record is skipped, as if compaction had removed it.
    history.world.migrate().await?;
    sqlx::query("insert into positions values ($1, 0, 1, 1, now())")
        .bind(&topic)
        .execute(history.world.pool())
        .await?;
    history.world.consume()?.succeed().await?;
    let why = format!("the counts don't add up in {topic}[0] ({first} published, {} arrived)", first - 1);
    assert_held(&history, &why).await?;

    // The next crawl sees everything and supersedes it.
    history.run(&[]).await?;
    let states = [(1, "superseded".to_owned()), (2, "balanced".to_owned())];
    assert_eq!(history.states().await?, states);
    Ok(())
}

#[tokio::test]
async fn an_object_without_id_and_domain_puts_a_run_on_hold() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    history.take("a.example", 2)?;
    history.catalog.put_as("5zzz-zzzz", "a.example", r#"{"resource":{"name":"no id"}}"#);
    history.run(&[]).await?;
    let (state, reason) = last(&history).await?;
    assert_eq!(state, "held");
    assert!(reason.is_some_and(|reason| reason.contains("could not be turned into records")));
    assert_eq!(history.retired().await?, []);
    Ok(())
}

#[tokio::test]
async fn an_object_with_only_a_domain_shields_that_domain() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 60)]).await?;
    history.run(&[]).await?;
    history.take("a.example", 2)?;
    let gone = history.take("b.example", 2)?;
    let nameless = r#"{"resource":{"name":"no id"},"metadata":{"domain":"a.example"}}"#;
    history.catalog.put_as("5zzz-zzzz", "a.example", nameless);
    history.run(&[]).await?;
    assert_eq!(last(&history).await?, ("balanced".into(), None));
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    let shields: Vec<String> = sqlx::query_scalar("select domain from run_shields where run = 2")
        .fetch_all(history.world.pool())
        .await?;
    assert_eq!(shields, ["a.example"]);
    Ok(())
}

#[tokio::test]
async fn retiring_too_large_a_share_puts_a_run_on_hold() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 40)]).await?;
    history.run(&[]).await?;
    let mut gone = history.take("a.example", 20)?;
    history.run(&[]).await?;
    // A share equal to the limit is allowed.
    assert_eq!(history.retired().await?, all_at(&gone, 2));

    gone.extend(history.take("b.example", 17)?);
    history.run(&[]).await?;
    let why = "17 of 80 datasets would be retired, a share above --max-retire-share 0.2";
    assert_eq!(last(&history).await?, ("held".into(), Some(why.into())));
    assert_eq!(history.retired().await?.len(), 20);

    history.crawl(&[]).await?;
    history.world.consume()?.args(["--max-retire-share", "0.3"]).succeed().await?;
    assert_eq!(last(&history).await?, ("balanced".into(), None));
    assert_eq!(history.retired().await?.len(), 37);
    Ok(())
}

#[tokio::test]
async fn seeing_fewer_assets_than_declared_puts_a_run_on_hold() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 40)]).await?;
    history.run(&[]).await?;
    history.take("b.example", 4)?;
    history.catalog.declare("b.example", 42);
    history.run(&[]).await?;
    let why = "it saw 96 of the 102 assets that /domains declared, a share under --min-seen-share 0.95";
    assert_held(&history, why).await
}
