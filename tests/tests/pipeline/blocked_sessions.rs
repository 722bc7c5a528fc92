//! `catalog-consumer doctor` names the session whose end helps.

use std::time::Duration;

use anyhow::{Context, Result};
use catalog_tests::world::World;
use sqlx::{PgConnection, query, query_scalar};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(300);

/// What `doctor` finds, once sessions have waited long enough.
async fn found(world: &World) -> Result<String> {
    loop {
        let answer = world.follow("catalog-consumer doctor --json")?.run().await?.summary()?;
        let checks = answer["checks"].as_array().context("checks")?;
        let finding = checks.iter().find(|finding| finding["check"] == "blocked_sessions");
        let finding = finding.context("the check of blocked sessions")?;
        if finding["level"] != *"ok" {
            return Ok(finding["found"].as_str().context("a text")?.to_owned());
        }
    }
}

async fn pid(connection: &mut PgConnection) -> Result<i32> {
    Ok(query_scalar("select pg_backend_pid()").fetch_one(connection).await?)
}

#[tokio::test]
async fn the_last_of_a_chain_of_waiting_sessions_is_named() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let mut cause = world.pool().acquire().await?;
    let mut between = world.pool().acquire().await?;
    let mut first = world.pool().acquire().await?;
    let (cause_pid, between_pid) = (pid(&mut cause).await?, pid(&mut between).await?);
    query("select pg_advisory_lock(1)").execute(&mut *cause).await?;
    query("select pg_advisory_lock(2)").execute(&mut *between).await?;
    // It waits longest. The session that holds its lock waits too.
    let waits_first =
        tokio::spawn(async move { query("select pg_advisory_lock(2)").execute(&mut *first).await });
    world.until_blocked("%pg_advisory_lock(2)%").await?;
    let waits_then = tokio::spawn(async move {
        query("select pg_advisory_lock(1)").execute(&mut *between).await?;
        query("select pg_advisory_unlock_all()").execute(&mut *between).await
    });
    world.until_blocked("%pg_advisory_lock(1)%").await?;

    let found = timeout(LIMIT, found(&world)).await.context("doctor finds nothing")??;
    assert!(found.starts_with(&format!("session {between_pid} has waited ")), "{found}");
    assert!(found.contains(&format!(" that session {cause_pid} holds ")), "{found}");
    query("select pg_advisory_unlock_all()").execute(&mut *cause).await?;
    waits_then.await??;
    waits_first.await??;
    Ok(())
}
