//! A retirement beside a batch. Without the schema lock, the retirement would not see the batch's rows, and the batch
//! would not see the decision.

use anyhow::Result;
use catalog_tests::history::History;
use catalog_tests::mock_server::Matcher;
use sqlx::{Postgres, Transaction};

/// Holds the rows of run 3 in the ledger, for which each batch of the run waits until this is rolled back.
async fn hold_ledger(history: &History) -> Result<Transaction<'static, Postgres>> {
    // Inserted here, because otherwise the first batch to insert the run would block the other one.
    let open = "insert into runs (region, run, state) values ('us', 3, 'open')";
    sqlx::query(open).execute(history.world.pool()).await?;
    let mut blocker = history.world.pool().begin().await?;
    sqlx::query(
        "insert into run_partitions
         select 'us', 3, topic, partition, null, 0, 0, 0, 0, 0, null from positions where topic like '%datasets'",
    )
    .execute(&mut *blocker)
    .await?;
    Ok(blocker)
}

/// Approves run 2, and ends `blocker` once the command waits for the schema lock. Without the lock the command would end first.
async fn approve_beside(history: &History, blocker: Transaction<'static, Postgres>) -> Result<()> {
    let approval = history.world.runs(["approve", "--region", "us", "--run", "2", "--yes"])?.start()?;
    let mut approval = std::pin::pin!(approval.ended());
    let waits = history.world.until(
        "select exists (select from pg_locks where locktype = 'advisory' and not granted
         and database = (select oid from pg_database where datname = current_database()))",
    );
    let ended = tokio::select! {
        waits = waits => { waits?; None }
        ended = &mut approval => Some(ended?),
    };
    blocker.rollback().await?;
    let ended = match ended {
        Some(ended) => ended,
        None => approval.await?,
    };
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_dataset_that_returns_while_a_run_is_approved_is_not_retired() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let gone = history.take("a.example", 3)?;
    history.crawl(&[]).await?;
    history.world.consume()?.args(["--max-retire-share", "0"]).succeed().await?;

    // The three return unchanged, in batches that have read their rows and not committed. Each waits
    // for its row of the ledger. The crawl has not reached its end-of-run records yet, because a batch with one of them
    // takes the lock exclusively anyway.
    for asset in &gone {
        history.catalog.put(asset.object.clone())?;
    }
    let blocker = hold_ledger(&history).await?;
    let gate = history.api.hold(Matcher::pages().that(|request| request.param("scroll_id") > Some("")));
    let crawl = history.world.crawl(&history.api)?.args(["--concurrency", "1"]).start()?;
    let member = history.world.member()?.start()?;
    history
        .world
        .until(
            "select count(*) = 2 from pg_stat_activity where datname = current_database()
             and wait_event_type = 'Lock' and query like '%insert into run_partitions%'",
        )
        .await?;

    approve_beside(&history, blocker).await?;
    history.world.until("select count(*) = 59 from socrata_dataset_stats where last_run = 3").await?;
    assert_eq!(history.retired().await?, []);
    gate.release();
    assert_eq!(crawl.ended().await?.code, Some(0));
    history.world.until("select exists (select from runs where run = 3 and state = 'balanced')").await?;
    assert_eq!(history.retired().await?, []);
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
