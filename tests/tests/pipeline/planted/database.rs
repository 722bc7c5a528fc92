//! An old schema, and a pooler that shares sessions.

use anyhow::{Context, Result};
use catalog_tests::docs::root;
use catalog_tests::world::World;
use sqlx::migrate::Migrator;

use super::Fault;

#[tokio::test]
async fn schema_old() -> Result<()> {
    let world = World::unmigrated("").await?;
    sqlx::query("create schema catalog").execute(world.pool()).await?;
    // All migrations except the last, as the build before this one has them.
    let migrations = Migrator::new(root().join("migrations")).await?;
    let all: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
    let older = all.iter().rev().nth(1).context("there are several migrations")?;
    migrations.run_to(*older, world.pool()).await?;
    let operator = world.operator()?;
    let fault = Fault::named("schema old")?;
    let found = fault.find(&operator, &format!("{} of {} migrations", all.len() - 1, all.len())).await?;
    let migrated = operator.next(&found).await?;
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    fault.is_over(&operator).await
}

#[tokio::test]
async fn pooler() -> Result<()> {
    let world = World::new().await?;
    let settings = format!("pool_mode = transaction\nadmin_users = {}", world.database());
    let (_pooler, url) = world.pooler(&settings).await?;
    // PgBouncer's administrator in this test is its only user.
    let operator = world.operator()?.database(&url);
    let operator = operator.env("PGUSER", world.database()).env("PGPASSWORD", "pooled7Q");
    let fault = Fault::named("pooler")?;
    let found = fault.find(&operator, "connection pooler in transaction or statement mode").await?;
    let shown = operator.next(&found).await?;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let pool = shown.stdout.lines().find(|line| line.contains(world.database())).unwrap_or_default();
    assert!(pool.contains("transaction"), "{}", shown.stdout);

    // The comment asks for session mode. The administrator may set it without a restart.
    let next = found["next"].as_str().unwrap_or_default();
    let set = operator.run(&next.replace("'show pools'", "\"set pool_mode = 'session'\"")).await?;
    assert_eq!(set.code, Some(0), "{}", set.stderr);
    fault.is_over(&operator).await
}
