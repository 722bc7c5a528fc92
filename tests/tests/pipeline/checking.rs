//! `check` compares the tables and the lag with limits, and each finding names the next command.

use anyhow::{Context, Result};
use catalog_tests::history::History;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, Sent, World};
use serde_json::Value;

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";
/// A role of a world that may only read the tables.
const READER: &str =
    "grant usage on schema catalog to {role}; grant select on all tables in schema catalog to {role}";

async fn execute(world: &World, statements: &str) -> Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(world.pool()).await?;
    Ok(())
}

/// The answer of a check that ended with this exit code.
async fn answer(world: &World, args: &[&str], code: i32) -> Result<Value> {
    let ended = world.check(args)?.run().await?;
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended.summary()
}

/// The findings of a check by its name.
fn findings<'a>(answer: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = answer["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|finding| finding["check"] == check).collect()
}

/// The only finding of a check, which must have this level.
fn finding<'a>(answer: &'a Value, check: &str, level: &str) -> Result<&'a Value> {
    let found = findings(answer, check);
    let [finding] = found[..] else { anyhow::bail!("not one finding of {check}: {answer}") };
    anyhow::ensure!(finding["level"] == level, "{check} is not {level}: {answer}");
    Ok(finding)
}

/// Runs the command that a finding names.
async fn follow(world: &World, finding: &Value) -> Result<Ended> {
    let next = finding["next"].as_str().with_context(|| format!("no next command: {finding}"))?;
    world.follow(next)?.run().await
}

/// Run 1 of 60 assets is in the tables.
async fn applied() -> Result<History> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    Ok(history)
}

#[tokio::test]
async fn after_a_crawl_all_is_well_and_a_reader_may_ask() -> Result<()> {
    let world = applied().await?.world;
    let url = world.user("_reader", "").await?;
    execute(&world, &READER.replace("{role}", &format!("{}_reader", world.database()))).await?;
    let checked = world.check(&["--verify"])?.env("DATABASE_URL", &url).succeed().await?.summary()?;
    assert_eq!(checked["level"], "ok");
    assert_eq!(finding(&checked, "full_crawl", "ok")?["run"], 1);
    for check in
        ["lag_records", "lag_time", "held_runs", "open_runs", "dead_letters", "shielded_domains", "verify"]
    {
        assert_eq!(finding(&checked, check, "ok")?["next"], Value::Null);
    }
    let text = world.follow("catalog-consumer check --region us")?.succeed().await?.stdout;
    let status = text.lines().next().unwrap_or_default();
    assert!(
        status.starts_with("OK - full crawl of us ended ") && status.contains(" | full_crawl_us="),
        "{text}"
    );
    assert_eq!(world.follow("catalog-consumer check --quiet")?.succeed().await?.stdout, "");
    Ok(())
}

#[tokio::test]
async fn without_a_crawl_the_next_command_is_a_crawl() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    // There are no topics yet either.
    let missing = answer(&world, &[], 2).await?;
    assert!(finding(&missing, "kafka", "critical")?["found"].to_string().contains("there is no topic"));
    let next = finding(&missing, "full_crawl", "critical")?["next"].as_str().context("a command")?;
    let crawl = world.follow(next)?.env("CATALOG_API_URL", &api.url()).env("CATALOG_RATE", "none");
    crawl.succeed().await?;
    world.consume()?.succeed().await?;
    assert_eq!(answer(&world, &[], 0).await?["level"], "ok");
    let eu = answer(&world, &["--region", "eu"], 2).await?;
    assert!(finding(&eu, "full_crawl", "critical")?["next"].to_string().ends_with("--region eu\""));
    Ok(())
}

#[tokio::test]
async fn an_old_full_crawl_is_a_warning_and_then_critical() -> Result<()> {
    let world = applied().await?.world;
    for (age, level, code) in [("40 hours", "warning", 1), ("3 days", "critical", 2)] {
        execute(&world, &format!("update runs set ended_at = now() - interval '{age}'")).await?;
        let old = answer(&world, &["--database-only"], code).await?;
        let finding = finding(&old, "full_crawl", level)?;
        assert_eq!(follow(&world, finding).await?.code, Some(0));
        let off = ["--database-only", "--crawl-age-warning", "off", "--crawl-age-critical", "off"];
        answer(&world, &off, 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_full_crawl_without_datasets_does_not_count() -> Result<()> {
    let history = applied().await?;
    execute(&history.world, "update runs set ended_at = now() - interval '3 days'").await?;
    history.run(&["--datasets=false"]).await?;
    assert_eq!(history.states().await?, [(1, "balanced".to_owned()), (2, "ended".to_owned())]);
    let old = answer(&history.world, &["--database-only"], 2).await?;
    assert_eq!(finding(&old, "full_crawl", "critical")?["run"], 1);
    Ok(())
}

#[tokio::test]
async fn a_city_without_full_crawls_is_judged_by_its_own_crawls() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 30)]).await?;
    let world = &history.world;
    history.run(&["--domain", "a.example"]).await?;
    let checked = answer(world, &["--database-only"], 0).await?;
    let found = finding(&checked, "domain_crawl", "ok")?;
    assert!(found["found"].to_string().contains("crawl of a.example in us ended "), "{found}");
    assert!(findings(&checked, "full_crawl").is_empty(), "{checked}");
    // An incremental crawl notices nothing that is gone.
    execute(world, "update runs set ended_at = now() - interval '40 hours'").await?;
    history.run(&["--domain", "a.example", "--since", "auto"]).await?;
    let old = answer(world, &["--database-only"], 1).await?;
    let found = finding(&old, "domain_crawl", "warning")?;
    assert_eq!(found["run"], 1);
    assert_eq!(follow(world, found).await?.code, Some(0));
    assert_eq!(finding(&old, "last_crawl", "ok")?["run"], 2);
    // Each domain counts, and those of one crawl together.
    history.run(&["--domain", "b.example", "--domain", "a.example"]).await?;
    let checked = answer(world, &["--database-only"], 0).await?;
    assert!(finding(&checked, "domain_crawl", "ok")?["found"].to_string().contains("1 more domain"));
    execute(world, "update runs set ended_at = now() - interval '3 days'").await?;
    history.run(&["--domain", "b.example"]).await?;
    let half = answer(world, &["--database-only"], 2).await?;
    let levels: Vec<_> = findings(&half, "domain_crawl").iter().map(|found| found["level"].clone()).collect();
    assert_eq!(levels, ["critical", "ok"], "{half}");
    // A full crawl covers both, and from then on full ones are expected.
    history.run(&[]).await?;
    let full = answer(world, &["--database-only"], 0).await?;
    finding(&full, "full_crawl", "ok")?;
    assert!(findings(&full, "domain_crawl").is_empty(), "{full}");
    Ok(())
}

#[tokio::test]
async fn the_last_crawl_of_any_mode_has_a_limit_of_its_own() -> Result<()> {
    let history = applied().await?;
    let world = &history.world;
    history.run(&["--since", "auto"]).await?;
    execute(world, "update runs set ended_at = now() - interval '5 hours' where run = 2").await?;
    // A crawl of a part of the catalog is not an update of it.
    history.run(&["--limit", "10"]).await?;
    let found = answer(world, &["--database-only"], 0).await?;
    assert!(finding(&found, "last_crawl", "ok")?["found"].to_string().contains("(run 2, incremental)"));
    let limits = ["--database-only", "--last-crawl-age-warning", "4h", "--last-crawl-age-critical", "8h"];
    let late = answer(world, &limits, 1).await?;
    assert_eq!(follow(world, finding(&late, "last_crawl", "warning")?).await?.code, Some(0));
    finding(&late, "full_crawl", "ok")?;
    Ok(())
}

#[tokio::test]
async fn a_run_on_hold_names_the_command_that_shows_it() -> Result<()> {
    let history = applied().await?;
    history.take("a.example", 30)?;
    history.run(&[]).await?;
    let held = answer(&history.world, &[], 1).await?;
    let found = finding(&held, "held_runs", "warning")?;
    assert_eq!(found["run"], 2);
    let shown = follow(&history.world, found).await?;
    assert!(shown.stdout.contains("Run 2 of us is held."), "{}{}", shown.stdout, shown.stderr);
    let critical = answer(&history.world, &["--held-critical", "0s"], 2).await?;
    finding(&critical, "held_runs", "critical")?;
    answer(
        &history.world,
        &["--region", "eu", "--crawl-age-warning", "off", "--crawl-age-critical", "off"],
        0,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn open_dead_letters_name_the_command_that_lists_them() -> Result<()> {
    let world = applied().await?.world;
    let headers = [("kind", "hosts"), ("schema", "1"), ("region", "us"), ("run", "1"), ("page", "1")];
    let sent = Sent { key: Some(b"us/broken"), value: Some(b"?"), headers: &headers, ..Sent::default() };
    world.send("hosts", sent).await?;
    world.consume()?.succeed().await?;
    let dead = answer(&world, &[], 1).await?;
    let found = finding(&dead, "dead_letters", "warning")?;
    assert_eq!(found["value"], 1);
    let listed = follow(&world, found).await?;
    assert!(listed.code == Some(0) && listed.stdout.contains("us/broken"), "{}", listed.stdout);
    world.ask(&["dead-letters", "discard", "--all"])?.succeed().await?;
    finding(&answer(&world, &[], 0).await?, "dead_letters", "ok")?;
    Ok(())
}

#[tokio::test]
async fn unread_records_are_a_lag_in_records_and_in_time() -> Result<()> {
    let history = applied().await?;
    let limits = ["--lag-time-critical", "0s", "--lag-records-warning", "1"];
    answer(&history.world, &limits, 0).await?;
    history.crawl(&[]).await?;
    let behind = answer(&history.world, &limits, 2).await?;
    finding(&behind, "lag_time", "critical")?;
    let records = finding(&behind, "lag_records", "warning")?["value"].as_u64().unwrap_or_default();
    assert!(records >= 60, "{behind}");
    history.world.consume()?.succeed().await?;
    answer(&history.world, &limits, 0).await?;
    Ok(())
}

#[tokio::test]
async fn the_lag_in_time_begins_when_the_producer_observed_the_record() -> Result<()> {
    let world = applied().await?.world;
    let headers = [
        ("kind", "hosts"),
        ("schema", "1"),
        ("region", "us"),
        ("run", "1"),
        ("page", "1"),
        ("observed_at", "2020-01-01T00:00:00Z"),
    ];
    let sent = Sent { key: Some(b"us/late"), value: Some(b"{}"), headers: &headers, ..Sent::default() };
    world.send("hosts", sent).await?;
    let behind = answer(&world, &[], 2).await?;
    let found = finding(&behind, "lag_time", "critical")?;
    assert!(found["value"].as_u64().is_some_and(|age| age > 365 * 86_400), "{found}");
    Ok(())
}

#[tokio::test]
async fn a_run_that_stays_open_names_the_command_that_shows_its_producer() -> Result<()> {
    let world = applied().await?.world;
    execute(
        &world,
        "insert into runs (region, run, state) values ('us', 2, 'open');
         update socrata_hosts set last_run = 2, observed_at = now() - interval '8 hours'",
    )
    .await?;
    let open = answer(&world, &[], 1).await?;
    let found = finding(&open, "open_runs", "warning")?;
    assert_eq!(found["run"], 2);
    assert_eq!(follow(&world, found).await?.code, Some(0));
    answer(&world, &["--open-warning", "9h"], 0).await?;
    Ok(())
}

#[tokio::test]
async fn shielded_domains_name_the_command_that_shows_the_shields() -> Result<()> {
    let history = History::new(&[("a.example", 100), ("b.example", 20)]).await?;
    history.run(&[]).await?;
    history.catalog.declare("b.example", 5);
    history.take("b.example", 15)?;
    history.run(&[]).await?;
    answer(&history.world, &[], 0).await?;
    let shielded = answer(&history.world, &["--shielded-warning", "1"], 1).await?;
    let shown = follow(&history.world, finding(&shielded, "shielded_domains", "warning")?).await?;
    assert!(shown.stdout.contains("runs approve --region us --run 2 --domain b.example"), "{}", shown.stdout);
    Ok(())
}

#[tokio::test]
async fn errors_of_verify_are_critical_and_name_it() -> Result<()> {
    let world = applied().await?.world;
    execute(
        &world,
        "delete from socrata_dataset_stats where id = (select min(id) from socrata_dataset_stats)",
    )
    .await?;
    answer(&world, &[], 0).await?;
    let damaged = answer(&world, &["--verify"], 2).await?;
    let found = finding(&damaged, "verify", "critical")?;
    assert!(found["found"].to_string().contains("datasets_without_stats (1)"), "{found}");
    assert_eq!(follow(&world, found).await?.code, Some(1));
    Ok(())
}

#[tokio::test]
async fn without_a_database_the_state_is_unknown_and_no_password_is_shown() -> Result<()> {
    let world = applied().await?.world;
    let url = world.login("Ssst7Q").await?;
    let wrong = url.replacen("Ssst7Q", "Ssst7Qwrong", 1);
    let nowhere = "postgres://me:Ssst7Q@127.0.0.1:1/catalog";
    for (url, why) in [(nowhere, "can't connect to the database"), ("", "--database-url")] {
        let ended = world.follow("catalog-consumer check")?.env("DATABASE_URL", url).run().await?;
        assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.starts_with("UNKNOWN - ") && ended.stdout.contains(why), "{}", ended.stdout);
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("7Q"), "{}", ended.stderr);
    }
    // The tests' server may accept any password.
    let ended = world.check(&[])?.env("DATABASE_URL", &wrong).run().await?;
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("7Q"), "{}", ended.stderr);

    let new = World::unmigrated("").await?;
    let unknown = answer(&new, &[], 3).await?;
    assert!(finding(&unknown, "database", "unknown")?["found"].to_string().contains("migrate"), "{unknown}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_delay_the_check() -> Result<()> {
    let world = World::new().await?;
    // It accepts connections and never reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = silent.local_addr()?;
    let url = format!("postgres://me:Ssst7Q@{address}/catalog");
    let ended = world.check(&["--timeout", "1s"])?.env("DATABASE_URL", &url).run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stdout.contains("no result within 1 s"), "{}", ended.stdout);
    let ended = world.check(&["--timeout", "6s"])?.env("KAFKA_BROKERS", &address.to_string()).run().await?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    // The address comes with the reason, so it is known before the time limit.
    let found = format!("the lag is unknown: Kafka at {address} ");
    assert!(ended.stdout.contains(&found), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn without_kafka_the_tables_are_still_checked() -> Result<()> {
    let world = applied().await?.world;
    let ended = world.check(&[])?.env("KAFKA_BROKERS", NOWHERE).run().await?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let answer = ended.summary()?;
    assert!(finding(&answer, "kafka", "critical")?["found"].to_string().contains(NOWHERE), "{answer}");
    finding(&answer, "full_crawl", "ok")?;
    world.check(&["--database-only"])?.env("KAFKA_BROKERS", NOWHERE).succeed().await?;
    let other = world.check(&[])?.env("CATALOG_TOPIC_PREFIX", "other.").run().await?;
    assert!(finding(&other.summary()?, "kafka", "critical")?["found"].to_string().contains("other."));
    Ok(())
}
