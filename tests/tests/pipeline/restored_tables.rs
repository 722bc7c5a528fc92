//! A database that went back, as after a failover to a replica that was behind: what a person decided stays decided, because it is
//! in the topic of decisions.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::history::{History, all_at};
use catalog_tests::world::Sent;
use serde_json::Value;
use sqlx::{AssertSqlSafe, raw_sql};

const TABLES: [&str; 10] = [
    "socrata_datasets",
    "socrata_dataset_stats",
    "socrata_domains",
    "socrata_hosts",
    "socrata_agencies",
    "domain_first_runs",
    "positions",
    "run_partitions",
    "run_shields",
    "runs",
];
const HELD: &str = "select exists (select from runs where run = 2 and state = 'held')";
const RELEASED: &str = "select exists (select from runs where run = 2 and state = 'released')";
const DECIDED_AND_PUBLISHED: &str = "select exists (select from runs join verdicts using (region, run)
    where run = 2 and runs.state in ('held', 'released') and verdicts.published)";

/// Copies all tables, so that they can be put back.
async fn save(history: &History) -> Result<()> {
    raw_sql("create schema saved").execute(history.world.pool()).await?;
    for table in TABLES.into_iter().chain(["verdicts"]) {
        let copy = format!("create table saved.{table} as table {table}");
        raw_sql(AssertSqlSafe(copy)).execute(history.world.pool()).await?;
    }
    Ok(())
}

/// Puts the copies back, between two batches.
async fn put_back(history: &History) -> Result<()> {
    let columns = "select string_agg(quote_ident(column_name), ', ') from information_schema.columns
        where table_schema = 'saved' and table_name = $1
            and (table_name, column_name) not in (select table_name, column_name from information_schema.columns
                where table_schema = current_schema() and is_generated = 'ALWAYS')";
    let mut tx = history.world.pool().begin().await?;
    raw_sql("select pg_advisory_xact_lock(hashtextextended('catalog-stream ' || current_schema(), 0))")
        .execute(&mut *tx)
        .await?;
    for table in TABLES.into_iter().chain(["verdicts"]) {
        let columns: String = sqlx::query_scalar(columns).bind(table).fetch_one(&mut *tx).await?;
        let restore = format!(
            "delete from {table}; insert into {table} ({columns}) select {columns} from saved.{table}"
        );
        raw_sql(AssertSqlSafe(restore)).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}

/// The last published decision about run 2.
async fn last_decision(history: &History) -> Result<Value> {
    let records = history.world.records("verdicts").await?;
    let last = records.into_iter().rfind(|record| record.key == "us/2").context("run 2 is decided")?;
    Ok(serde_json::from_slice(&last.value)?)
}

/// Returns when the member has followed the topic to its present end: it stores the decision about a run that comes last.
async fn follow(history: &History) -> Result<()> {
    let mut other = last_decision(history).await?;
    other["run"] = 99.into();
    let (key, value) = (Some("us/99".as_bytes()), Some(other.to_string()));
    let value = value.as_deref().map(str::as_bytes);
    history.world.send("verdicts", Sent { key, value, ..Sent::default() }).await?;
    history.world.until("select exists (select from verdicts where run = 99)").await
}

#[tokio::test]
async fn a_run_that_a_person_approved_is_not_held_again() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let mut member = history.world.plain_run()?.args(["--max-retire-share", "0"]).start()?;
    member.logged(events::PARTITION_ASSIGNED).await?;
    save(&history).await?;
    let gone = history.take("a.example", 3)?;
    history.crawl(&[]).await?;
    // The rules' decision must not reach the topic after the person's.
    history.world.until(DECIDED_AND_PUBLISHED).await?;
    assert_eq!(history.decide("release", "2").await?["published"], true);
    assert_eq!(last_decision(&history).await?["decided"]["what"], "released");
    follow(&history).await?;

    put_back(&history).await?;
    member.logged(events::POSITION_WENT_BACK).await?;
    history.world.until(DECIDED_AND_PUBLISHED).await?;
    assert_eq!(last_decision(&history).await?["decided"]["what"], "released");
    assert_eq!(history.states().await?[1], (2, "released".to_owned()));
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    assert_eq!(last_decision(&history).await?["decided"]["what"], "released");
    Ok(())
}

#[tokio::test]
async fn an_approval_whose_commit_is_lost_returns_from_the_topic_after_the_outage() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let (proxy, url) = history.world.proxy().await?;
    let program = history.world.plain_run()?.args(["--max-retire-share", "0"]);
    let mut member = program.env("DATABASE_URL", &url).start()?;
    let gone = history.take("a.example", 3)?;
    history.crawl(&[]).await?;
    // The rules' decision must not reach the topic after the person's.
    history.world.until(DECIDED_AND_PUBLISHED).await?;
    save(&history).await?;
    assert_eq!(history.decide("release", "2").await?["published"], true);

    proxy.close();
    put_back(&history).await?;
    history.crawl(&["--limit", "1"]).await?;
    member.logged(events::DATABASE_UNREACHABLE).await?;
    history.world.until(HELD).await?;
    proxy.open().await?;
    history.world.until(RELEASED).await?;
    assert_eq!(history.retired().await?, all_at(&gone, 2));
    assert_eq!(last_decision(&history).await?["decided"]["what"], "released");
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
