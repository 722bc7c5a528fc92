//! Rows are looked up by key, even in tables that were never analyzed.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

const WIN: &str = include_str!("../../../consumer/sql/apply/win_stats.sql");

/// The generic plan that a consumer's session keeps.
async fn plan(connection: &mut PgConnection) -> Result<String> {
    let prepare = format!("prepare win as {WIN}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await?;
    sqlx::raw_sql("set plan_cache_mode = force_generic_plan").execute(&mut *connection).await?;
    let explain = "explain execute win ('{us}', '{a.example}', '{aaaa-2222}', '{1}', '{1}', '{now}',
        '{1}', '{1}', '{1}', '{1}', '{}')";
    let lines: Vec<String> = sqlx::query_scalar(explain).persistent(false).fetch_all(connection).await?;
    Ok(lines.join("\n"))
}

#[tokio::test]
async fn rows_of_a_table_that_was_never_analyzed_are_found_by_key() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let mut connection = world.pool().acquire().await?;
    let off = "alter table socrata_dataset_stats set (autovacuum_enabled = off)";
    sqlx::raw_sql(off).execute(&mut *connection).await?;
    let empty = plan(&mut connection).await?;
    assert!(empty.contains("using socrata_dataset_stats_pkey"), "{empty}");
    drop(connection.close().await);

    let api = MockServer::start(Options::new(Synthetic::new(500, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    let mut connection = world.pool().acquire().await?;
    let filled = plan(&mut connection).await?;
    assert!(filled.contains("using socrata_dataset_stats_pkey"), "{filled}");
    Ok(())
}
