//! `verify` finds nothing in tables that are sound, and each thing that can be wrong by the one check that is
//! meant for it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use catalog_tests::double::{Double, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;
use sqlx::AssertSqlSafe;

/// The tables that damage is done to, and repaired in.
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

/// For each check a statement that it alone finds.
const DAMAGES: [(&str, &str); 33] = [
    ("datasets_without_stats", "delete from socrata_dataset_stats where (domain, id) = (select domain, id from one)"),
    ("stats_without_dataset", "delete from socrata_datasets where (domain, id) = (select domain, id from one)"),
    (
        "datasets_without_host",
        "with moved as (
            update socrata_datasets set permalink = 'https://Elsewhere.example/d/x', attribution = null, record = record #- '{resource,attribution}'
            where (domain, id) = (select domain, id from one)
         ) select",
    ),
    (
        "datasets_without_agency",
        "update socrata_datasets set attribution = 'Nobody' where (domain, id) = (select domain, id from one)",
    ),
    (
        "agencies_without_host",
        "insert into socrata_agencies values ('us', 'nowhere.example', 'Nobody', 2, 1, now())",
    ),
    (
        "foreign_records",
        "update socrata_datasets set record = jsonb_set(record, '{resource,download_count}', '1')
         where (domain, id) = (select domain, id from one)",
    ),
    ("lost_values", "update socrata_datasets set created_at = null where (domain, id) = (select domain, id from one)"),
    (
        "different_hashes",
        r"update socrata_datasets set content_hash = '\x04' where (domain, id) = (select domain, id from one)",
    ),
    ("wrongly_retired", "update socrata_datasets set retired_at = now() where (domain, id) = (select domain, id from one)"),
    ("unknown_runs", "update socrata_domains set last_run = 3 where domain = (select domain from one)"),
    (
        "unbalanced_runs",
        "update run_partitions set unchanged = unchanged + partition * 2 - 1
         where run = 2 and topic like '%.datasets'",
    ),
    (
        "torn_pages",
        "with told as (delete from verdicts where run = 1),
            more as (
                update run_partitions set new = new + 1
                where run = 1 and topic like '%.datasets' and partition = 0
            )
         update runs set state = 'ended', applied = applied + 1 where run = 1",
    ),
    ("wrong_sums", "update runs set applied = applied + 1 where run = 1"),
    (
        "missing_markers",
        "update run_partitions set marker_offset = null where run = 2 and topic like '%.hosts'",
    ),
    ("markers_beyond_positions", "update run_partitions set marker_offset = marker_offset + 1000 where run = 2 and topic like '%.hosts'"),
    (
        "different_verdicts",
        r#"update verdicts set verdict = jsonb_set(verdict, '{judged,state}', '"held"') where run = 2"#,
    ),
    ("wrong_first_runs", "update domain_first_runs set first_run = 2 where domain = (select lower(domain) from one)"),
    (
        "shielded_domains",
        "update socrata_dataset_stats set last_run = 1 where (domain, id) = (select domain, id from one);
         insert into run_shields select 'us', 2, lower(domain), 'a test', null, false from one;
         update verdicts
         set verdict = jsonb_set(verdict, '{judged,shields}', jsonb_build_object(lower(domain), 'a test'))
         from one where run = 2",
    ),
    (
        "beyond_reach",
        "update runs set marker = marker #- array['declared', domain] #- array['seen', domain] from one;
         delete from domain_first_runs where domain = (select lower(domain) from one)",
    ),
    ("scoped_runs", "update runs set scope = array['elsewhere.example'] where run = 1"),
    ("bad_domains", "update runs set marker = jsonb_set(marker, '{bad_domains}', '1') where run = 2"),
    ("held_runs", "with told as (delete from verdicts where run = 1) update runs set state = 'held' where run = 1"),
    ("abandoned_runs", "insert into runs (region, run, state) values ('us', 3, 'abandoned')"),
    ("open_runs", "insert into runs (region, run, state) values ('us', 3, 'open')"),
    (
        "short_books",
        "with fewer as (
            update run_partitions set new = new - 1
            where run = 1 and topic like '%.datasets' and partition = 0
         ) update runs set applied = applied - 1 where run = 1",
    ),
    (
        "open_dead_letters",
        "insert into dead_letters (topic, partition, \"offset\", headers, reason, counted, ordinal)
         values ('x.hosts', 0, 7, '[]', 'a test', false, 1)",
    ),
    (
        "unpublished_verdicts",
        "update verdicts set published = false where run = 2",
    ),
    ("replays", "update positions set position = position - 1 where topic like '%.hosts'"),
    ("skipped_records", "update positions set position = position + 1 where topic like '%.hosts'"),
    (
        "declared_counts",
        "update runs set marker = jsonb_set(marker, array['declared', domain], '9999') from one where run = 2",
    ),
    ("unlisted_domains", "delete from socrata_domains where domain = (select domain from one)"),
    (
        "unreadable_fields",
        "update socrata_datasets set unreadable = array['metadata.license'] where (domain, id) = (select domain, id from one)",
    ),
    (
        "other_revisions",
        "update socrata_dataset_stats set content_hash = null where (domain, id) = (select domain, id from one)",
    ),
];

/// Two crawls of the same, consumed.
async fn healthy() -> Result<World> {
    let world = World::new().await?;
    let double = Double::start(Options::new(Synthetic::new(200, 3))).await?;
    for _ in 0..2 {
        world.crawl(&double)?.succeed().await?;
    }
    world.consume()?.succeed().await?;
    // An asset with all that the damages need; the first of its kind.
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
            // A column that is generated can't be written.
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

/// Kinds have topics of their own, which don't keep step.
#[tokio::test]
async fn datasets_whose_hosts_and_agencies_are_still_to_come_are_no_error() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let double = Double::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&double)?.succeed().await?;
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

/// Compaction may leave of a host only what a later run says, which has yet to be read.
#[tokio::test]
async fn hosts_and_agencies_that_only_later_records_tell_of_are_no_error() -> Result<()> {
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

/// As where a resume has published a host twice, and compaction has dropped the first.
#[tokio::test]
async fn a_verdict_that_was_followed_though_books_are_short_is_a_note() -> Result<()> {
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
async fn people_are_told_the_first_twenty_and_how_many_more() -> Result<()> {
    let world = healthy().await?;
    sqlx::query("delete from socrata_dataset_stats").execute(world.pool()).await?;
    let ended = world.ask(&["verify"])?.run().await?;
    assert_eq!(ended.code, Some(1));
    let told = ended.stdout;
    ensure!(told.contains("error  datasets_without_stats: 200 "), "{told}");
    ensure!(told.contains("and 180 more"), "{told}");
    assert_eq!(told.matches("there is no row in socrata_dataset_stats").count(), 20, "{told}");
    Ok(())
}

#[tokio::test]
async fn a_database_without_tables_is_an_error_of_its_own() -> Result<()> {
    let world = World::new().await?;
    let ended = world.ask(&["verify"])?.run().await?;
    assert_eq!(ended.code, Some(1));
    ensure!(ended.stderr.contains("catalog-consumer migrate"), "{}", ended.stderr);
    Ok(())
}
