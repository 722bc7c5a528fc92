//! A dry run of the consumer reports what a run would do, and changes nothing.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Contents, Program, Sent, World};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::Value;

const LEDGER: [&str; 5] = ["positions", "runs", "run_partitions", "verdicts", "dead_letters"];
const DATA_TOPICS: [&str; 4] = ["datasets", "domains", "hosts", "agencies"];

fn dry(world: &World) -> Result<Program> {
    Ok(world.plain_run()?.args(["--dry-run"]))
}

/// What a dry run must not change: all rows with their location on disk, the offsets of the group, and
/// the ends of the topics.
#[derive(Debug, PartialEq, Eq)]
struct Outside {
    contents: Vec<Contents>,
    writes: Vec<(String, i64, i64, i64)>,
    offsets: Vec<(Option<i64>, i64)>,
}

async fn outside(world: &World) -> Result<Outside> {
    // Earlier sessions have ended, so PostgreSQL's statistics contain their writes.
    world
        .until(
            "select count(*) = 0 from pg_stat_activity
             where application_name = 'catalog-consumer' and datname = current_database()",
        )
        .await?;
    let mut contents = world.contents("catalog", &CATALOG).await?;
    contents.extend(world.contents("catalog", &LEDGER).await?);
    let writes = "select relname::text, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_all_tables
        where schemaname = 'catalog' order by relname";
    let mut offsets = Vec::new();
    for topic in DATA_TOPICS {
        offsets.push(world.committed(&world.topic(topic), 0).await?);
    }
    offsets.push(world.committed(&world.topic("datasets"), 1).await?);
    Ok(Outside { contents, writes: sqlx::query_as(writes).fetch_all(world.pool()).await?, offsets })
}

/// A dry run and then a run. Both must report the same.
async fn dry_run_then_run(world: &World) -> Result<Value> {
    let before = outside(world).await?;
    let reported = dry(world)?.succeed().await?.summary()?;
    assert_eq!(outside(world).await?, before);
    assert_eq!((&reported["dry_run"], &reported["caught_up"]), (&true.into(), &true.into()));
    let done = world.consume()?.succeed().await?.summary()?;
    assert_eq!((&reported["records"], &reported["unkeyed"]), (&done["records"], &done["unkeyed"]));
    assert_eq!(done["dry_run"], false);
    Ok(reported["records"].clone())
}

#[tokio::test]
async fn a_dry_run_reports_what_a_run_would_do_and_changes_nothing() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(400, 4).objects())?);
    let api = MockServer::start(Options::shared(Arc::clone(&catalog) as _)).await?;
    world.crawl(&api)?.succeed().await?;
    let first = dry_run_then_run(&world).await?;
    assert_eq!((&first["datasets"]["new"], &first["domains"]["new"]), (&400.into(), &4.into()));

    for id in catalog.ids().iter().take(30) {
        let mut object: Value = serde_json::from_slice(&catalog.get(id).context("it is there")?)?;
        object["resource"]["name"] = "Renamed".into();
        catalog.put(object.to_string())?;
    }
    catalog.remove(&catalog.ids()[50]);
    let mut added: Value = serde_json::from_slice(&catalog.get(&catalog.ids()[60]).context("it is there")?)?;
    added["resource"]["id"] = "2222-2222".into();
    catalog.put(added.to_string())?;
    world.crawl(&api)?.succeed().await?;
    let unreadable = Sent { partition: 0, key: Some(b"us/x"), value: Some(b"{}"), headers: &[] };
    world.send("hosts", unreadable).await?;
    let second = dry_run_then_run(&world).await?;
    assert_eq!(second["hosts"]["dead"], 1);
    let datasets = &second["datasets"];
    assert_eq!(
        [&datasets["new"], &datasets["changed"], &datasets["unchanged"]],
        [&Value::from(1), &30.into(), &369.into()]
    );

    let nothing = dry_run_then_run(&world).await?;
    ensure!(!nothing.to_string().contains(|digit: char| ('1'..='9').contains(&digit)), "{nothing}");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_includes_an_offset_reset_and_leaves_it_to_the_run() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(150, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    world
        .consumer_groups(&[
            "--reset-offsets",
            "--to-earliest",
            "--topic",
            &world.topic("datasets"),
            "--execute",
        ])
        .await?;
    let reported = dry_run_then_run(&world).await?;
    assert_eq!(
        (&reported["datasets"]["unchanged"], &reported["hosts"]["unchanged"]),
        (&150.into(), &0.into())
    );
    Ok(())
}

#[tokio::test]
async fn a_dry_run_does_not_join_the_group_and_locks_no_row() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(150, 3))).await?;
    for _ in 0..2 {
        world.crawl(&api)?.succeed().await?;
    }
    world.migrate().await?;
    // An open transaction blocks the end, so the dry run waits after it has read everything else.
    let mut config = world.kafka();
    config.set("transactional.id", world.topic("a-stranger"));
    let stranger: ThreadedProducer<DefaultProducerContext> = config.create()?;
    stranger.init_transactions(std::time::Duration::from_secs(30))?;
    stranger.begin_transaction()?;
    let topic = world.topic("hosts");
    let headers = OwnedHeaders::new().insert(Header { key: "kind", value: Some("hosts") });
    let record = BaseRecord::to(&topic).partition(0).key("us/x").payload("{}").headers(headers);
    stranger.send(record).map_err(|(error, _)| error)?;
    stranger.flush(std::time::Duration::from_secs(30))?;

    let mut dry_run = dry(&world)?.start()?;
    dry_run.logged(events::OPEN_TRANSACTION).await?;
    let strong: Vec<(String, String)> = sqlx::query_as(
        "select coalesce(relation::regclass::text, locktype), mode from pg_locks
         join pg_stat_activity using (pid)
         where application_name = 'catalog-consumer' and datname = current_database()
             and (locktype = 'advisory' or relation::regclass::text not like 'pg_temp%')
             and relation in (select oid from pg_class where relnamespace = 'catalog'::regnamespace)
             and mode <> 'AccessShareLock'",
    )
    .fetch_all(world.pool())
    .await?;
    assert_eq!(strong, Vec::new());
    let advisory: i64 = sqlx::query_scalar(
        "select count(*) from pg_locks where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(advisory, 0);
    let group = world.consumer_groups(&["--describe", "--members"]).await;
    ensure!(group.as_ref().is_err_and(|error| error.to_string().contains("GroupIdNotFound")), "{group:?}");

    stranger.abort_transaction(std::time::Duration::from_secs(30))?;
    let ended = dry_run.ended().await?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Two runs of the same catalog: rows that are new in the first are unchanged in the second.
    let datasets = ended.summary()?["records"]["datasets"].clone();
    let all = ["new", "changed", "unchanged", "older"].map(|effect| datasets[effect].as_i64().unwrap_or(-1));
    assert_eq!((all[0], all[1], all.iter().sum::<i64>()), (150, 0, 300), "{datasets}");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_does_not_report_caught_up_before_a_newer_schema() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    let headers = [("schema", "2")];
    world.send("hosts", Sent { key: Some(b"us/new.example"), headers: &headers, ..Sent::default() }).await?;
    let reported = dry(&world)?.succeed().await?.summary()?;
    assert_eq!(
        (&reported["caught_up"], &reported["records"]["datasets"]["new"]),
        (&false.into(), &50.into()),
        "{reported}"
    );
    Ok(())
}

#[tokio::test]
async fn a_dry_run_without_tables_names_the_migrate_command() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(20, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    let ended = dry(&world)?.run().await?;
    assert_eq!(ended.code, Some(1));
    ensure!(ended.stderr.contains("catalog-consumer migrate"), "{}", ended.stderr);
    let both = dry(&world)?.args(["--migrate"]).run().await?;
    assert_eq!(both.code, Some(2));
    let schemas: i64 = sqlx::query_scalar("select count(*) from pg_namespace where nspname = 'catalog'")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(schemas, 0);
    Ok(())
}
