//! Programs that read the answer and the log find the error in both.

use anyhow::Result;
use catalog_tests::world::{Ended, World};

/// The error stands in the answer and in the last line of the log.
fn tells_twice(ended: &Ended, code: i32) -> Result<()> {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let error = ended.error()?;
    assert_eq!(ended.summary()?["error"], error);
    assert!(ended.stderr.lines().all(|line| line.starts_with('{')), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_command_that_fails_before_it_has_an_answer_answers_with_the_error() -> Result<()> {
    let world = World::unmigrated("").await?;
    // The tables are not there.
    for command in [&["runs", "list"][..], &["verify"], &["dead-letters", "list"]] {
        tells_twice(&world.ask(command)?.args(["--json"]).run().await?, 1)?;
    }
    tells_twice(&world.ask(&["dead-letters", "discard", "--json"])?.run().await?, 2)?;
    tells_twice(&world.plain_run()?.run().await?, 1)?;
    Ok(())
}

#[tokio::test]
async fn an_answer_of_a_check_that_finds_errors_has_them_and_the_error() -> Result<()> {
    let world = World::unmigrated("").await?;
    world.migrate().await?;
    let row = "insert into socrata_hosts (region, host, domain, last_run, last_page, observed_at)
               values ('us', 'a.example', 'nowhere.example', 1, 1, now())";
    sqlx::raw_sql(row).execute(world.pool()).await?;
    let ended = world.ask(&["verify", "--json"])?.run().await?;
    assert!(ended.summary()?["checks"].is_array(), "{}", ended.stdout);
    if ended.summary()?["errors"] != 0 {
        tells_twice(&ended, 1)?;
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
