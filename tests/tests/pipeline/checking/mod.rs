//! `check` compares the tables and the lag with limits, and each finding names the next command.

mod crawls;
mod decisions;
mod domains;
mod lag;
mod unreachable;

use anyhow::{Context, Result};
use catalog_tests::history::History;
use catalog_tests::world::{Ended, World};
use serde_json::Value;

/// A role of a world that may only read the tables.
const READER: &str =
    "grant usage on schema catalog to {role}; grant select on all tables in schema catalog to {role}";

async fn execute(world: &World, statements: &str) -> Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(world.pool()).await?;
    Ok(())
}

/// The answer of a check that ended with this exit code.
async fn answer(world: &World, args: &[&str], code: i32) -> Result<Value> {
    let ended = world.check(args)?.run().await?;
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended.summary()
}

/// The findings of a check by its name.
fn findings<'a>(answer: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = answer["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|finding| finding["check"] == check).collect()
}

/// The only finding of a check, which must have this level.
fn finding<'a>(answer: &'a Value, check: &str, level: &str) -> Result<&'a Value> {
    let found = findings(answer, check);
    let [finding] = found[..] else { anyhow::bail!("not one finding of {check}: {answer}") };
    anyhow::ensure!(finding["level"] == level, "{check} is not {level}: {answer}");
    Ok(finding)
}

/// Runs the command that a finding names.
async fn follow(world: &World, finding: &Value) -> Result<Ended> {
    let next = finding["next"].as_str().with_context(|| format!("no next command: {finding}"))?;
    world.follow(next)?.run().await
}

/// Run 1 of 60 assets is in the tables.
async fn applied() -> Result<History> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    Ok(history)
}

#[tokio::test]
async fn after_a_crawl_all_is_well_and_a_reader_may_ask() -> Result<()> {
    let world = applied().await?.world;
    let url = world.user("_reader", "").await?;
    execute(&world, &READER.replace("{role}", &format!("{}_reader", world.database()))).await?;
    let checked = world.check(&["--verify"])?.env("DATABASE_URL", &url).succeed().await?.summary()?;
    assert_eq!(checked["level"], "ok");
    assert_eq!(finding(&checked, "full_crawl", "ok")?["run"], 1);
    for check in
        ["lag_records", "lag_time", "held_runs", "open_runs", "dead_letters", "shielded_domains", "verify"]
    {
        assert_eq!(finding(&checked, check, "ok")?["next"], Value::Null);
    }
    let text = world.follow("catalog-consumer check --region us")?.succeed().await?.stdout;
    let status = text.lines().next().unwrap_or_default();
    assert!(
        status.starts_with("OK - full crawl of us ended ") && status.contains(" | full_crawl_us="),
        "{text}"
    );
    assert_eq!(world.follow("catalog-consumer check --quiet")?.succeed().await?.stdout, "");
    Ok(())
}
