//! With `--json`, the error is in the answer and in the log.

use anyhow::Result;
use catalog_tests::world::{Ended, World};

/// Asserts that the answer and the last log line contain the same error.
fn assert_error_in_both(ended: &Ended, code: i32) -> Result<()> {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let error = ended.error()?;
    assert_eq!(ended.summary()?["error"], error);
    assert!(ended.stderr.lines().all(|line| line.starts_with('{')), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_command_that_fails_early_answers_with_the_error_alone() -> Result<()> {
    let world = World::unmigrated("").await?;
    // There are no tables.
    for command in [&["runs", "list"][..], &["verify"], &["dead-letters", "list"]] {
        assert_error_in_both(&world.ask(command)?.args(["--json"]).run().await?, 1)?;
    }
    assert_error_in_both(&world.ask(&["dead-letters", "discard", "--json"])?.run().await?, 2)?;
    assert_error_in_both(&world.plain_run()?.run().await?, 1)?;
    Ok(())
}

#[tokio::test]
async fn verify_answers_with_its_findings_and_the_error() -> Result<()> {
    let world = World::unmigrated("").await?;
    world.migrate().await?;
    let row = "insert into socrata_hosts (region, host, domain, last_run, last_page, observed_at)
               values ('us', 'a.example', 'nowhere.example', 1, 1, now())";
    sqlx::raw_sql(row).execute(world.pool()).await?;
    let ended = world.ask(&["verify", "--json"])?.run().await?;
    assert!(ended.summary()?["checks"].is_array(), "{}", ended.stdout);
    if ended.summary()?["errors"] != 0 {
        assert_error_in_both(&ended, 1)?;
    } else {
        anyhow::bail!("no check finds this row: {}", ended.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn text_logs_end_with_the_error_as_text() -> Result<()> {
    let world = World::unmigrated("").await?;
    let ended = world.ask(&["runs", "list", "--log-format", "TEXT"])?.run().await?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.lines().last().unwrap_or_default().starts_with("error: "), "{}", ended.stderr);
    Ok(())
}
