//! A batch that a timeout cancels is retried in halves, because the whole batch would time out again.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Sent, World, record_headers};
use sqlx::AssertSqlSafe;

/// Makes a statement with more rows than this exceed the timeout, and one with the asset `aaaa-aaae` fail for good.
fn slow_above(rows: u32) -> String {
    format!(
        "create function slow() returns trigger language plpgsql as $$
        begin
            if (select count(*) from written) > {rows} then
                raise exception 'canceling statement due to statement timeout' using errcode = '57014';
            end if;
            if exists (select 1 from written where id = 'aaaa-aaae') then
                raise exception 'permission denied' using errcode = '42501';
            end if;
            return null;
        end
        $$;
        create trigger slow after insert on socrata_datasets
            referencing new table as written for each statement execute function slow()"
    )
}

#[tokio::test]
async fn a_batch_that_times_out_is_applied_in_halves_without_delay() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    sqlx::raw_sql(AssertSqlSafe(slow_above(60))).execute(world.pool()).await?;
    let ended = world.consume()?.succeed().await?;
    assert!(!ended.logged(events::BATCH_HALVED).is_empty(), "{}", ended.stderr);
    assert!(ended.logged(events::DATABASE_UNREACHABLE).is_empty(), "{}", ended.stderr);
    let records = &ended.summary()?["records"]["datasets"];
    assert_eq!(records["new"], 500, "{records}");
    let ledger: (String, i64, i64) =
        sqlx::query_as("select state, published - applied, dead from runs").fetch_one(world.pool()).await?;
    assert_eq!(ledger, ("balanced".to_owned(), 0, 0));
    world.ask(&["verify"])?.succeed().await?;
    world.consume_again()?.args(["--until-caught-up"]).succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, world.contents("again", &CATALOG).await?);
    Ok(())
}

#[tokio::test]
async fn a_committed_half_is_logged_although_the_other_half_fails() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(10, 1))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    sqlx::raw_sql(AssertSqlSafe(slow_above(3))).execute(world.pool()).await?;
    let headers = record_headers("datasets");
    let unreadable =
        Sent { partition: 0, key: Some(b"us/d.example/aaaa-bbbb"), value: Some(b"[]"), headers: &headers };
    world.send("datasets", unreadable).await?;
    for id in ["aaaa-aaaa", "aaaa-aaab", "aaaa-aaac", "aaaa-aaad", "aaaa-aaae"] {
        let key = format!("us/d.example/{id}");
        let value = format!(r#"{{"resource":{{"id":"{id}"}},"metadata":{{"domain":"d.example"}}}}"#);
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        world.send("datasets", Sent { partition: 0, key, value, headers: &headers }).await?;
    }
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.logged(events::BATCH_HALVED).len(), 1, "{}", ended.stderr);
    let written = ended.logged(events::DEAD_LETTERS_WRITTEN);
    assert!(written.len() == 1 && written[0]["count"] == 1, "{}", ended.stderr);
    let stored: i64 = sqlx::query_scalar("select count(*) from dead_letters").fetch_one(world.pool()).await?;
    assert_eq!(stored, 1);
    Ok(())
}
