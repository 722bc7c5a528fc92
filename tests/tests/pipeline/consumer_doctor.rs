//! `catalog-consumer doctor` names what is wrong, and the next command for it.

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_tests::history::History;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, World};
use serde_json::Value;

const DOCTOR: &str = "catalog-consumer doctor --json";
/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";
/// Options that a broker without authentication ignores.
const SECRETS: &str = "sasl.username=me\nsasl.password=Ssst7Q\nssl.key.password=Ssst7Q";

/// The findings of a check.
fn of<'a>(answer: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = answer["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|finding| finding["check"] == check).collect()
}

/// The first finding of a check, which must have this level.
fn finding<'a>(answer: &'a Value, check: &str, level: &str) -> Result<&'a Value> {
    let found = of(answer, check).into_iter().next().with_context(|| format!("no {check}: {answer}"))?;
    ensure!(found["level"] == level, "{check} is not {level}: {found}");
    Ok(found)
}

fn next(finding: &Value) -> Result<&str> {
    finding["next"].as_str().with_context(|| format!("no next command: {finding}"))
}

/// Examines a world that has problems, with this variable.
async fn problems(world: &World, (name, value): (&str, &str)) -> Result<Value> {
    let ended = world.follow(DOCTOR)?.env(name, value).run().await?;
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    ended.summary()
}

/// Examines a world without problems.
async fn healthy(world: &World) -> Result<Value> {
    let ended = world.follow(DOCTOR)?.run().await?;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended.summary()
}

async fn applied() -> Result<History> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    Ok(history)
}

#[tokio::test]
async fn a_sound_installation_has_no_problems_and_shows_no_secrets() -> Result<()> {
    let world = applied().await?.world;
    let url = world.login("Ssst7Q").await?;
    let examine = |command: &str| {
        Ok::<_, anyhow::Error>(world.follow(command)?.env("DATABASE_URL", &url).env("KAFKA_OPTIONS", SECRETS))
    };
    let ended = examine(DOCTOR)?.env("RUST_LOG", "trace").succeed().await?;
    let text = examine("catalog-consumer doctor")?.succeed().await?;
    for line in [&ended.stdout, &ended.stderr, &text.stdout, &text.stderr] {
        assert!(!line.contains("7Q"), "a secret was printed: {line}");
    }
    let answer = ended.summary()?;
    assert!(answer["checks"].to_string().contains("sasl.password=***"), "{answer}");
    for check in [
        "configuration",
        "brokers",
        "advertised_listeners",
        "topics",
        "topic_rights",
        "group_rights",
        "database",
        "database_server",
        "schema",
        "database_rights",
        "connections",
        "database_disk",
        "blocked_sessions",
        "clocks",
        "table_sizes",
        "tables_and_topics",
    ] {
        finding(&answer, check, "ok")?;
    }

    // No consumer runs yet. The next command starts one.
    let mut consumer = world.follow(next(finding(&answer, "group", "warning")?)?)?.start()?;
    consumer.logged(events::PARTITION_ASSIGNED).await?;
    let found = healthy(&world).await?;
    assert!(finding(&found, "group", "ok")?["found"].to_string().contains("1 consumer of the group"));
    // The offset that the doctor asked for was refused.
    finding(&found, "group_rights", "ok")?;
    let offsets = world.consumer_groups(&["--describe"]).await?;
    assert!(offsets.contains(&world.topic("datasets")) && !offsets.contains("2147483647"), "{offsets}");
    Ok(())
}

#[tokio::test]
async fn a_database_that_refuses_or_is_down_leaves_the_other_checks() -> Result<()> {
    let world = applied().await?.world;
    let url = world.login("Ssst7Q").await?;
    let nobody = url.replacen(&format!("//{}:", world.database()), "//nobody:", 1);
    let nowhere = "postgres://me:Ssst7Q@127.0.0.1:1/catalog";
    let missing = url.replacen(&format!("/{}?", world.database()), "/nothing7?", 1);
    for (url, command) in
        [(nobody.as_str(), "psql"), (nowhere, "pg_isready"), (&missing, "createdb"), ("", "DATABASE_URL")]
    {
        let ended = world.follow(DOCTOR)?.env("DATABASE_URL", url).run().await?;
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("Ssst"), "{}", ended.stdout);
        let answer = ended.summary()?;
        let found = finding(&answer, "database", "problem")?;
        assert!(next(found)?.contains(command), "{command}: {found}");
        finding(&answer, "schema", "skipped")?;
        finding(&answer, "topics", "ok")?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_kafka_leaves_the_checks_of_the_database() -> Result<()> {
    let world = applied().await?.world;
    let answer = problems(&world, ("KAFKA_BROKERS", NOWHERE)).await?;
    let found = finding(&answer, "brokers", "problem")?;
    assert!(
        found["found"].to_string().contains(NOWHERE) && next(found)?.contains("KAFKA_BROKERS"),
        "{found}"
    );
    for check in
        ["advertised_listeners", "topics", "topic_rights", "group", "group_rights", "tables_and_topics"]
    {
        finding(&answer, check, "skipped")?;
    }
    finding(&answer, "schema", "ok")?;
    Ok(())
}

#[tokio::test]
async fn missing_topics_and_a_missing_schema_name_the_commands_that_create_them() -> Result<()> {
    let world = World::unmigrated("").await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    let answer = problems(&world, ("RUST_LOG", "info")).await?;
    let topics = finding(&answer, "topics", "problem")?;
    assert!(topics["found"].to_string().contains(&world.topic("datasets")), "{topics}");
    let crawl = world.follow(next(topics)?)?.env("CATALOG_API_URL", &api.url()).env("CATALOG_RATE", "none");
    crawl.succeed().await?;
    world.follow(next(finding(&answer, "schema", "problem")?)?)?.succeed().await?;
    let answer = healthy(&world).await?;
    finding(&answer, "topics", "ok")?;
    finding(&answer, "schema", "ok")?;
    Ok(())
}

#[tokio::test]
async fn a_reader_and_a_shared_pooler_are_problems() -> Result<()> {
    let world = applied().await?.world;
    let reader = world.user("_reader", "").await?;
    let name = world.database();
    let grant = format!(
        "grant usage on schema catalog to {name}_reader; grant select on all tables in schema catalog to {name}_reader"
    );
    // The consumer needs no rights on a table that is not its own.
    let foreign = "create table catalog.analysis (x int)";
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{grant}; {foreign}"))).execute(world.pool()).await?;
    let answer = problems(&world, ("DATABASE_URL", &reader)).await?;
    let found = finding(&answer, "database_rights", "problem")?;
    assert!(found["found"].to_string().contains("positions (delete, insert, update)"), "{found}");
    assert!(!found["found"].to_string().contains("analysis"), "{found}");
    assert!(next(found)?.contains("deploy/roles.sql"));

    let (_pooler, url) = world.pooler("pool_mode = transaction").await?;
    let answer = problems(&world, ("DATABASE_URL", &url)).await?;
    assert!(finding(&answer, "database", "problem")?["found"].to_string().contains("pool_mode = session"));
    Ok(())
}

#[tokio::test]
async fn tables_of_other_topics_are_a_problem() -> Result<()> {
    let history = applied().await?;
    let ended: Ended = history.world.follow(DOCTOR)?.env("CATALOG_TOPIC_PREFIX", "other.").run().await?;
    let answer = ended.summary()?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(finding(&answer, "tables_and_topics", "problem")?["found"].to_string().contains("other."));
    Ok(())
}
