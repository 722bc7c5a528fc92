//! A producer whose cursor was lost restarts its run numbers. Consumers stop before anything of that is written,
//! and what they say to do leads on.

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Sent, World};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

const LEDGER: [&str; 2] = ["runs", "run_partitions"];

/// A world after a run of this number, and the mock server that was crawled.
async fn crawled(run: &str) -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.args(["--first-run", run]).succeed().await?;
    Ok((world, api))
}

fn admin(world: &World) -> Result<AdminClient<DefaultClientContext>> {
    Ok(world.kafka().create()?)
}

/// The same topics and tables, and a producer that knows of no run and crawls.
async fn crawl_again(world: &World, api: &MockServer) -> Result<()> {
    world.delete_topics(&["cursors"]).await?;
    world.crawl(api)?.succeed().await?;
    Ok(())
}

/// What a consumer says that stops there.
async fn refused(world: &World) -> Result<String> {
    let ended = world.consume()?.run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    Ok(ended.stderr)
}

async fn states(world: &World) -> Result<Vec<(i64, String)>> {
    Ok(sqlx::query_as("select run, state from runs order by run").fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn what_is_said_to_do_leads_on() -> Result<()> {
    let (world, api) = crawled("7").await?;
    world.consume()?.succeed().await?;
    crawl_again(&world, &api).await?;
    let said = refused(&world).await?;
    assert!(said.contains("records of run 1 of us come after run 7 had ended"), "{said}");
    assert_eq!(states(&world).await?, [(7, "balanced".into())]);

    // The tools and flags that it names, and no others.
    let between = |before: &str, after: &str| {
        let rest = said.split_once(before).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split_once(after)).map(|(flags, _)| flags.to_owned())
    };
    let reset = between("--group … ", "`").context("it names the reset")?;
    world.consumer_groups(&reset.split(' ').collect::<Vec<_>>()).await?;
    let flags = between("crawl --region us ", "`").context("it names the crawl")?;
    world.crawl(&api)?.args(flags.split(' ')).succeed().await?;
    world.consume()?.succeed().await?;
    assert_eq!(states(&world).await?, [(7, "balanced".into()), (8, "balanced".into())]);
    world.ask(&["verify"])?.succeed().await?;

    // And the next crawl goes on from there.
    world.crawl(&api)?.succeed().await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!((&summary["runs"][0]["run"], &summary["runs"][0]["state"]), (&9.into(), &"balanced".into()));
    Ok(())
}

#[tokio::test]
async fn a_run_of_the_same_number_is_not_taken_for_the_first() -> Result<()> {
    let (world, api) = crawled("1").await?;
    world.consume()?.succeed().await?;
    let (tables, ledger) =
        (world.contents("catalog", &CATALOG).await?, world.contents("catalog", &LEDGER).await?);
    crawl_again(&world, &api).await?;
    let said = refused(&world).await?;
    assert!(said.contains("run 1 of us come after run 1") && said.contains("--first-run 2"), "{said}");
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);
    assert_eq!(world.contents("catalog", &LEDGER).await?, ledger);
    Ok(())
}

#[tokio::test]
async fn both_runs_in_one_batch_are_counted_apart() -> Result<()> {
    let (world, api) = crawled("7").await?;
    crawl_again(&world, &api).await?;
    // A new database: each partition holds so little that it comes at once.
    let said = refused(&world).await?;
    assert!(said.contains("run 1 of us") && said.contains("--first-run 8"), "{said}");
    assert_eq!(states(&world).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_partition_that_the_ended_run_did_not_know_is_no_way_in() -> Result<()> {
    let (world, _double) = crawled("7").await?;
    world.consume()?.succeed().await?;
    let datasets = world.topic("datasets");
    admin(&world)?.create_partitions(&[NewPartitions::new(&datasets, 3)], &AdminOptions::new()).await?;
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
    let said = refused(&world).await?;
    assert!(said.contains("records of run 1 of us come after run 7"), "{said}");
    Ok(())
}
