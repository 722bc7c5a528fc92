//! A batch that a timeout cancels is retried in halves, because the whole batch would time out again.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};

/// Makes a statement with many rows exceed the timeout, and one with few rows not.
const SLOW: &str = "
    create function slow() returns trigger language plpgsql as $$
    begin
        if (select count(*) from written) > 60 then
            raise exception 'canceling statement due to statement timeout' using errcode = '57014';
        end if;
        return null;
    end
    $$;
    create trigger slow after insert on socrata_datasets
        referencing new table as written for each statement execute function slow()";

#[tokio::test]
async fn a_batch_that_times_out_is_applied_in_halves_without_delay() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    sqlx::raw_sql(SLOW).execute(world.pool()).await?;
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
