//! A decision that is in the database is published, even if the consumer is killed in between.

use anyhow::Result;
use catalog_tests::history::History;

#[tokio::test]
async fn a_consumer_killed_before_it_published_a_decision_publishes_it_at_the_next_start() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.crawl(&[]).await?;
    history.world.migrate().await?;
    history.world.delete_topics(&["verdicts"]).await?;

    let member = history.world.short_session()?.start()?;
    history.world.until("select exists (select from runs where state = 'balanced')").await?;
    member.kill().await?;
    history.world.until("select count(*) = 1 and not bool_or(published) from verdicts").await?;

    // A producer creates missing topics.
    history.run(&[]).await?;
    let mut keys: Vec<_> =
        history.world.records("verdicts").await?.into_iter().map(|record| record.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys, ["us/1", "us/2"]);
    history.world.until("select count(*) = 2 and bool_and(published) from verdicts").await
}
