//! A producer whose cursor was lost restarts its run numbers. Consumers stop before they write any of its records,
//! and the error explains how to continue.

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Sent, World};

const LEDGER: [&str; 2] = ["runs", "run_partitions"];

/// A world after a run with this number, and the mock server that was crawled.
async fn crawled(run: &str) -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.args(["--first-run", run]).succeed().await?;
    Ok((world, api))
}

/// Crawls into the same topics with a producer that has lost its cursor.
async fn crawl_again(world: &World, api: &MockServer) -> Result<()> {
    world.delete_topics(&["cursors"]).await?;
    world.crawl(api)?.succeed().await?;
    Ok(())
}

/// The error of a consumer that stops there.
async fn refused(world: &World) -> Result<String> {
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    Ok(ended.stderr)
}

async fn states(world: &World) -> Result<Vec<(i64, String)>> {
    Ok(sqlx::query_as("select run, state from runs order by run").fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn the_instructions_in_the_error_resolve_a_lost_cursor() -> Result<()> {
    let (world, api) = crawled("7").await?;
    world.consume()?.succeed().await?;
    crawl_again(&world, &api).await?;
    let error = refused(&world).await?;
    assert!(error.contains("records of run 1 of us come after run 7 had ended"), "{error}");
    assert_eq!(states(&world).await?, [(7, "balanced".into())]);

    // Uses exactly the tools and flags that the error names.
    let between = |before: &str, after: &str| {
        let rest = error.split_once(before).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split_once(after)).map(|(flags, _)| flags.to_owned())
    };
    let reset = between("--group … ", "`").context("it names the reset")?;
    world.consumer_groups(&reset.split(' ').collect::<Vec<_>>()).await?;
    let flags = between("crawl --region us ", "`").context("it names the crawl")?;
    world.crawl(&api)?.args(flags.split(' ')).succeed().await?;
    world.consume()?.succeed().await?;
    assert_eq!(states(&world).await?, [(7, "balanced".into()), (8, "balanced".into())]);
    world.ask(&["verify"])?.succeed().await?;

    // The next crawl continues from there.
    world.crawl(&api)?.succeed().await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!((&summary["runs"][0]["run"], &summary["runs"][0]["state"]), (&9.into(), &"balanced".into()));
    Ok(())
}

#[tokio::test]
async fn a_second_run_with_the_same_number_is_not_mistaken_for_the_first() -> Result<()> {
    let (world, api) = crawled("1").await?;
    world.consume()?.succeed().await?;
    let (tables, ledger) =
        (world.contents("catalog", &CATALOG).await?, world.contents("catalog", &LEDGER).await?);
    crawl_again(&world, &api).await?;
    let error = refused(&world).await?;
    assert!(error.contains("run 1 of us come after run 1") && error.contains("--first-run 2"), "{error}");
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);
    assert_eq!(world.contents("catalog", &LEDGER).await?, ledger);
    Ok(())
}

#[tokio::test]
async fn two_runs_that_arrive_together_are_distinguished() -> Result<()> {
    let (world, api) = crawled("7").await?;
    crawl_again(&world, &api).await?;
    let error = refused(&world).await?;
    assert!(error.contains("run 1 of us") && error.contains("--first-run 8"), "{error}");
    let others = "select count(*) from socrata_dataset_stats where last_run <> 7";
    assert_eq!(sqlx::query_scalar::<_, i64>(others).fetch_one(world.pool()).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_new_partition_does_not_hide_restarted_run_numbers() -> Result<()> {
    let (world, _double) = crawled("7").await?;
    world.consume()?.succeed().await?;
    world.add_partitions("datasets", 3).await?;
    let value = r#"{"resource":{"id":"aaaa-bbbb"},"metadata":{"domain":"a.example"}}"#;
    let headers = [
        ("schema", "1"),
        ("kind", "datasets"),
        ("region", "us"),
        ("run", "1"),
        ("page", "1"),
        ("observed_at", "2026-01-01T00:00:00Z"),
    ];
    let key = Some("us/a.example/aaaa-bbbb".as_bytes());
    world
        .send("datasets", Sent { partition: 2, key, value: Some(value.as_bytes()), headers: &headers })
        .await?;
    let error = refused(&world).await?;
    assert!(error.contains("records of run 1 of us come after run 7"), "{error}");
    Ok(())
}
