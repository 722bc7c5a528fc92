//! The ledger is exact: for each run and partition, as many records arrived as were published.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::history::History;

type Place = (i64, String, i32);

/// The number of records per run and partition.
async fn published(history: &History) -> Result<BTreeMap<Place, i64>> {
    let mut counts = BTreeMap::new();
    for topic in ["datasets", "domains", "hosts", "agencies"] {
        for record in history.world.records(topic).await? {
            let place = (record.headers["run"].parse()?, history.world.topic(topic), record.partition);
            // A partition without records of a run still has its end-of-run record.
            *counts.entry(place).or_insert(0) += i64::from(!record.is_end_record());
        }
    }
    Ok(counts)
}

#[tokio::test]
async fn each_record_of_each_run_is_counted_in_its_partition() -> Result<()> {
    let history = History::new(&[("a.example", 150), ("b.example", 90)]).await?;
    history.run(&[]).await?;
    history.take("a.example", 20)?;
    history.run(&[]).await?;
    history.run(&["--domain", "b.example"]).await?;
    history.run(&["--datasets=false"]).await?;

    let expected = published(&history).await?;
    let ledger: Vec<(i64, String, i32, i64, i64)> = sqlx::query_as(
        "select run, topic, partition, published, new + changed + unchanged + older from run_partitions",
    )
    .fetch_all(history.world.pool())
    .await?;
    let place = |run: i64, topic: &str, partition: i32| (run, topic.to_owned(), partition);
    let published = ledger
        .iter()
        .map(|(run, topic, partition, published, _)| (place(*run, topic, *partition), *published));
    let applied =
        ledger.iter().map(|(run, topic, partition, _, applied)| (place(*run, topic, *partition), *applied));
    assert_eq!(published.collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(applied.collect::<BTreeMap<_, _>>(), expected);
    let states = ["balanced", "balanced", "balanced", "ended"];
    assert_eq!(history.states().await?.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), states);
    Ok(())
}
