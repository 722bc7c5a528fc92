//! Decisions are published, and a consumer with new tables applies them.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::{History, all_at};
use catalog_tests::world::Sent;
use serde_json::Value;

/// Three assets vanish in run 2, which is on hold.
async fn held() -> Result<(History, Vec<(String, i64)>)> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 3)?;
    history.crawl(&[]).await?;
    history.world.consume()?.args(["--max-retire-share", "0"]).succeed().await?;
    Ok((history, all_at(&gone, 2)))
}

/// Fills new tables from the same topics, and returns the states of runs and the retired assets.
async fn again(history: &History) -> Result<(Vec<(i64, String)>, Vec<(String, i64)>)> {
    let states = "select run, state from again.runs order by run";
    let retired =
        "select id, run from again.socrata_datasets join again.runs on ended_at = retired_at order by id";
    Ok((
        sqlx::query_as(states).fetch_all(history.world.pool()).await?,
        sqlx::query_as(retired).fetch_all(history.world.pool()).await?,
    ))
}

/// The last value of each key of the topic.
async fn published(history: &History) -> Result<Vec<(String, Value)>> {
    let mut last = std::collections::BTreeMap::new();
    for record in history.world.records("verdicts").await? {
        last.insert(record.key, serde_json::from_slice(&record.value)?);
    }
    Ok(last.into_iter().collect())
}

#[tokio::test]
async fn decisions_are_published_with_everything_that_a_rebuild_needs() -> Result<()> {
    let (history, _) = held().await?;
    let topic = published(&history).await?;
    assert_eq!(topic.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["us/1", "us/2"]);
    assert_eq!(topic[0].1["judged"]["state"], "balanced");
    let value = &topic[1].1;
    let judged = &value["judged"];
    assert_eq!(
        (&value["region"], &value["run"], &judged["state"]),
        (&"us".into(), &2.into(), &"held".into())
    );
    assert_eq!(value["mode"], "full");
    assert!(value["kinds"].as_array().unwrap().contains(&"datasets".into()));
    assert!(judged["reason"].as_str().unwrap().contains("--max-retire-share 0"));
    let ended: bool = sqlx::query_scalar("select ended_at = $1::text::timestamptz from runs where run = 2")
        .bind(value["ended_at"].as_str())
        .fetch_one(history.world.pool())
        .await?;
    assert!(ended && value["decided"].is_null());
    Ok(())
}

#[tokio::test]
async fn new_tables_apply_an_approval() -> Result<()> {
    let (history, gone) = held().await?;
    history.decide("release", "2").await?;
    assert_eq!(published(&history).await?[1].1["decided"]["what"], "released");
    // If it were judged again it would be on hold, because nothing may be retired here.
    let strict = history.world.consume_again()?.args(["--until-caught-up", "--max-retire-share", "0"]);
    strict.succeed().await?;
    assert_eq!(again(&history).await?, (vec![(1, "balanced".into()), (2, "released".into())], gone));
    Ok(())
}

#[tokio::test]
async fn new_tables_apply_a_declined_run() -> Result<()> {
    let (history, _) = held().await?;
    history.decide("reject", "2").await?;
    // If it were judged again it would be balanced.
    history.world.consume_again()?.args(["--until-caught-up"]).succeed().await?;
    assert_eq!(again(&history).await?, (vec![(1, "balanced".into()), (2, "rejected".into())], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_running_consumer_applies_a_decision_made_elsewhere() -> Result<()> {
    let (history, gone) = held().await?;
    history.world.consume_again()?.args(["--until-caught-up", "--max-retire-share", "0"]).succeed().await?;
    assert_eq!(again(&history).await?.0[1], (2, "held".into()));
    let mut member = history.world.consume_again()?.start()?;
    // By now it has read the existing decisions.
    member.logged(events::PARTITION_ASSIGNED).await?;
    history.decide("release", "2").await?;
    history
        .world
        .until("select exists (select from again.runs where run = 2 and state = 'released')")
        .await?;
    assert_eq!(again(&history).await?.1, gone);
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_final_decision_is_published_again_if_the_topic_has_an_older_one() -> Result<()> {
    let (history, _) = held().await?;
    let records = history.world.records("verdicts").await?;
    let held = records.iter().rfind(|record| record.key == "us/2").map(|record| record.value.clone());
    history.decide("release", "2").await?;
    let sent = Sent { key: Some(b"us/2"), value: held.as_deref(), ..Sent::default() };
    history.world.send("verdicts", sent).await?;
    assert!(published(&history).await?[1].1["decided"].is_null());
    history.world.consume()?.succeed().await?;
    assert_eq!(published(&history).await?[1].1["decided"]["what"], "released");
    assert_eq!(history.states().await?, [(1, "balanced".into()), (2, "released".into())]);
    Ok(())
}
