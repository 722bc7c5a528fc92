//! A provider makes a database read-only before its disk is full. The consumer waits until it may write again.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{DatabaseServer, World};
use sqlx::raw_sql;

#[tokio::test]
async fn a_consumer_waits_for_a_read_only_database_and_may_prune_dead_letters_meanwhile() -> Result<()> {
    let server = DatabaseServer::start().await?;
    let world = World::on_server(&server).await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 2))).await?;
    let mut member = world.plain_run()?.start()?;
    world.crawl(&api)?.succeed().await?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;

    let read_only = "alter system set default_transaction_read_only = on";
    raw_sql(read_only).execute(world.pool()).await?;
    raw_sql("select pg_reload_conf()").execute(world.pool()).await?;
    world.until("select current_setting('default_transaction_read_only')::boolean").await?;
    world.crawl(&api)?.succeed().await?;
    loop {
        // A request that was under way may report another error first.
        let reported = member.logged(events::DATABASE_UNREACHABLE).await?;
        if reported["error"].as_str().unwrap_or_default().contains("read-only transaction") {
            break;
        }
    }
    world.ask(&["dead-letters", "prune", "--older-than", "1d"])?.succeed().await?;

    raw_sql("alter system reset default_transaction_read_only").execute(world.pool()).await?;
    raw_sql("select pg_reload_conf()").execute(world.pool()).await?;
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
