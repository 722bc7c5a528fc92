//! `verify` finds nothing in sound tables, and finds each kind of damage by exactly the check that is
//! meant for it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;
use sqlx::AssertSqlSafe;

mod damages;
use damages::DAMAGES;

/// The tables that are damaged and repaired.
const TABLES: [&str; 12] = [
    "socrata_datasets",
    "socrata_dataset_stats",
    "socrata_domains",
    "socrata_hosts",
    "socrata_agencies",
    "positions",
    "runs",
    "run_partitions",
    "verdicts",
    "dead_letters",
    "domain_first_runs",
    "run_shields",
];

/// Two crawls of the same catalog, consumed.
async fn healthy() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 3))).await?;
    for _ in 0..2 {
        world.crawl(&api)?.succeed().await?;
    }
    world.consume()?.succeed().await?;
    // The first asset with everything that the damages need.
    let one = "create schema damage
        create view damage.one as select domain, id from catalog.socrata_datasets
        where attribution ~ '^[A-Z]' and created_at is not null order by domain, id limit 1";
    sqlx::raw_sql(one).execute(world.pool()).await?;
    Ok(world)
}

/// The exit code, and the names of the checks that found something.
async fn verify(world: &World) -> Result<(i32, BTreeSet<String>, Value)> {
    let ended = world.ask(&["verify", "--json"])?.run().await?;
    let report = ended.summary()?;
    let found = report["checks"].as_array().into_iter().flatten().filter(|check| check["count"] != 0);
    let names = found.map(|check| check["name"].as_str().unwrap_or_default().to_owned()).collect();
    Ok((ended.code.unwrap_or(-1), names, report))
}

async fn each_table(world: &World, statement: impl Fn(&str) -> String) -> Result<()> {
    let statements: Vec<String> = TABLES.iter().map(|table| statement(table)).collect();
    sqlx::raw_sql(AssertSqlSafe(statements.join(";"))).execute(world.pool()).await?;
    Ok(())
}

#[tokio::test]
async fn sound_tables_pass_and_each_damage_is_found_by_its_check_alone() -> Result<()> {
    let world = healthy().await?;
    let (code, found, report) = verify(&world).await?;
    assert_eq!((code, found), (0, BTreeSet::new()), "{report}");
    let checks = report["checks"].as_array().map(Vec::len);
    assert_eq!(checks, Some(DAMAGES.len()), "each check has a damage");

    each_table(&world, |table| format!("create table damage.{table} as table {table}")).await?;
    for (name, damage) in DAMAGES {
        let search_path = "set local search_path = catalog, damage";
        sqlx::raw_sql(AssertSqlSafe(format!("begin; {search_path}; {damage}; commit")))
            .execute(world.pool())
            .await?;
        let (code, found, report) = verify(&world).await?;
        assert_eq!(found, BTreeSet::from([name.to_owned()]), "{damage}\n{report}");
        let check = report["checks"].as_array().into_iter().flatten().find(|check| check["name"] == name);
        let is_error = check.is_some_and(|check| check["severity"] == "error");
        assert_eq!(code, i32::from(is_error), "{damage}\n{report}");
        each_table(&world, |table| {
            // Generated columns can't be written.
            let (named, columns) = match table {
                "verdicts" => ("(region, run, verdict, published)", "region, run, verdict, published"),
                _ => ("", "*"),
            };
            format!(
                "truncate {table};
                 insert into {table} {named} overriding system value select {columns} from damage.{table}"
            )
        })
        .await?;
    }
    let (code, found, _) = verify(&world).await?;
    assert_eq!((code, found), (0, BTreeSet::new()));
    Ok(())
}

/// Each record type has its own topic, and the topics are not read in step.
#[tokio::test]
async fn datasets_whose_hosts_and_agencies_have_not_arrived_yet_are_not_an_error() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    for topic in ["hosts", "agencies"] {
        let topic = world.topic(topic);
        let (_, end) = world.committed(&topic, 0).await?;
        sqlx::query(
            "insert into positions (topic, partition, position, counted_to, moved_at)
             values ($1, 0, $2, $2, now())",
        )
        .bind(topic)
        .bind(end)
        .execute(world.pool())
        .await?;
    }
    world.consume()?.succeed().await?;
    let (code, found, report) = verify(&world).await?;
    assert_eq!((code, found), (0, BTreeSet::from(["open_runs".to_owned()])), "{report}");

    sqlx::raw_sql(
        "update runs set state = 'balanced', dead = 0;
         insert into run_partitions
         select 'us', 1, topic, partition, 0, 0, 0, 0, 0, 0, position - 1 from positions
         where topic similar to '%(hosts|agencies)'",
    )
    .execute(world.pool())
    .await?;
    let (code, found, report) = verify(&world).await?;
    ensure!(code == 1 && found.contains("datasets_without_host"), "{report}");
    ensure!(found.contains("datasets_without_agency"), "{report}");
    Ok(())
}

/// Compaction may keep only a later run's record of a host, which was not read yet.
#[tokio::test]
async fn hosts_and_agencies_that_only_later_records_contain_are_not_an_error() -> Result<()> {
    let world = healthy().await?;
    sqlx::raw_sql(
        "set local search_path = catalog, damage;
         update socrata_dataset_stats set last_run = 1 where (domain, id) = (select domain, id from one);
         delete from socrata_hosts; delete from socrata_agencies;
         create table damage.decided as table runs;
         create table damage.markers as table run_partitions;
         update runs set state = 'open', published = null, applied = null, dead = null where run = 2;
         update run_partitions set marker_offset = null, published = null
         where run = 2 and topic similar to '%(hosts|agencies)'",
    )
    .execute(world.pool())
    .await?;
    let (code, found, report) = verify(&world).await?;
    assert_eq!((code, found), (0, BTreeSet::from(["open_runs".to_owned()])), "{report}");

    sqlx::raw_sql(
        "delete from run_partitions; insert into run_partitions select * from damage.markers;
         delete from runs; insert into runs select * from damage.decided",
    )
    .execute(world.pool())
    .await?;
    let (code, found, report) = verify(&world).await?;
    ensure!(code == 1 && found.contains("datasets_without_host"), "{report}");
    ensure!(found.contains("datasets_without_agency"), "{report}");
    Ok(())
}

/// As when a resumed run has published a host twice, and compaction has removed the first record.
#[tokio::test]
async fn an_applied_decision_about_a_run_with_missing_records_is_a_note() -> Result<()> {
    let world = healthy().await?;
    sqlx::raw_sql(
        "update run_partitions set published = published + 1 where run = 2 and topic like '%.hosts';
         update runs set published = published + 1 where run = 2",
    )
    .execute(world.pool())
    .await?;
    let (code, found, report) = verify(&world).await?;
    assert_eq!((code, found), (0, BTreeSet::from(["short_books".to_owned()])), "{report}");
    Ok(())
}

#[tokio::test]
async fn the_text_report_shows_the_first_twenty_findings_and_the_number_of_others() -> Result<()> {
    let world = healthy().await?;
    sqlx::query("delete from socrata_dataset_stats").execute(world.pool()).await?;
    let ended = world.ask(&["verify"])?.run().await?;
    assert_eq!(ended.code, Some(1));
    let reported = ended.stdout;
    ensure!(reported.contains("error  datasets_without_stats: 200 "), "{reported}");
    ensure!(reported.contains("and 180 more"), "{reported}");
    assert_eq!(reported.matches("socrata_dataset_stats has no row for it").count(), 20, "{reported}");
    Ok(())
}

#[tokio::test]
async fn a_database_without_tables_is_reported_with_the_migrate_command() -> Result<()> {
    let world = World::unmigrated("").await?;
    let ended = world.ask(&["verify"])?.run().await?;
    assert_eq!(ended.code, Some(1));
    ensure!(ended.stderr.contains("catalog-consumer migrate"), "{}", ended.stderr);
    Ok(())
}
