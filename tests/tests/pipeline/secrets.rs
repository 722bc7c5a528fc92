//! At the most verbose log level, and with failures at each stage, no secret is in any output, recording or
//! topic.

mod refusing_database;
mod webhook;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, Program, World};
use rdkafka::producer::{FutureProducer, FutureRecord};

/// A part of every secret of these tests, so that half a secret is found too.
const MARK: &str = "Ssst7Q";
const TOKEN: &str = "Ssst7QappSsst7QtokenSsst7Q";
const PASSWORD: &str = "Ssst7QdatabaseSsst7Q";
const OPTIONS: &str =
    "debug=all\nsasl.username=me\nsasl.password=Ssst7QsaslSsst7Q\nssl.key.password=Ssst7QkeySsst7Q";
/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";

fn verbose(program: Program) -> Program {
    let program = program.env("RUST_LOG", "trace").env("KAFKA_OPTIONS", OPTIONS);
    program.env("SOCRATA_APP_TOKEN", TOKEN)
}

/// A crawl at the most verbose level, in pages of 10 over one lane.
fn crawl(world: &World, api: &MockServer) -> Result<Program> {
    Ok(verbose(world.crawl(api)?).args(["--page-size", "10", "--concurrency", "1"]))
}

#[track_caller]
fn clean(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    for line in ended.stdout.lines().chain(ended.stderr.lines()) {
        assert!(!line.contains(MARK), "a secret was printed: {line}");
    }
}

async fn api() -> Result<MockServer> {
    Ok(MockServer::start(Options::new(Synthetic::new(40, 3)).tokens([TOKEN])).await?)
}

/// An error that quotes the token in its body, at the point where messages truncate it, and in a
/// header.
fn quoting(status: u16) -> Fault {
    let body = format!("Invalid app_token {TOKEN} {} {TOKEN}", "x".repeat(130));
    Fault::Status { status, retry_after: Some(TOKEN.to_owned()), body: Some(body) }
}

#[tokio::test]
async fn a_crawl_shows_no_secret() -> Result<()> {
    let (world, api, folder) = (World::unmigrated("").await?, api().await?, tempfile::tempdir()?);
    api.fail_once(Matcher::domains(), quoting(503));
    api.fail_once(Matcher::pages(), Fault::Html);
    let html_with_token = Fault::Status { status: 200, retry_after: None, body: Some(format!("<p>{TOKEN}")) };
    api.fail_once(Matcher::pages().nth(3), html_with_token);
    let forbidden = api.fail_once(Matcher::pages().nth(5), quoting(400));
    let record = folder.path().to_string_lossy().into_owned();
    let ended = crawl(&world, &api)?.args(["--record", &record]).run().await?;
    clean(&ended, 1);
    assert_eq!(forbidden.fired(), 1);
    clean(&crawl(&world, &api)?.args(["--record", &record]).run().await?, 0);

    // Without these the test could not fail: the secrets were in use, everything was logged, and `***` replaced them.
    assert!(api.requests().iter().all(|request| request.headers["x-app-token"] == TOKEN));
    for expected in [
        "\"level\":\"TRACE\"",
        "Invalid app_token ***",
        "sasl.password=***; ssl.key.password=***",
        "--app-token ***",
    ] {
        assert!(ended.stderr.contains(expected), "never logged: {expected}");
    }
    no_mark_in(folder.path())?;
    no_mark_in_topics(&world).await
}

async fn no_mark_in_topics(world: &World) -> Result<()> {
    let records = world.all_records().await?;
    assert!(!records.is_empty());
    for record in records {
        let reported = format!("{record:?} {}", String::from_utf8_lossy(&record.value));
        assert!(!reported.contains(MARK), "published: {reported}");
    }
    Ok(())
}

#[tokio::test]
async fn a_fenced_producer_shows_no_secret() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    let mut gate = api.hold(Matcher::pages().nth(2));
    let first = crawl(&world, &api)?.run();
    let second = async {
        gate.arrived().await;
        clean(&crawl(&world, &api)?.run().await?, 0);
        gate.release();
        anyhow::Ok(())
    };
    let (fenced, ()) = tokio::try_join!(first, second)?;
    clean(&fenced, 3);
    assert!(fenced.stderr.contains("has taken over"), "{}", fenced.stderr);
    clean(&verbose(world.status()?).run().await?, 0);
    no_mark_in_topics(&world).await
}

#[tokio::test]
async fn a_broker_that_refuses_the_login_exposes_no_secret() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    // This Kafka has SASL disabled.
    let options = format!("{OPTIONS}\nsecurity.protocol=sasl_plaintext\nsasl.mechanism=PLAIN");
    let url = world.login(PASSWORD).await?;
    // The first fails at once, the others after a while.
    let programs = [crawl(&world, &api)?, verbose(world.status()?), verbose(world.consume()?)];
    let [producer, status, consumer] =
        programs.map(|program| program.env("KAFKA_OPTIONS", &options).env("DATABASE_URL", &url).run());
    let (producer, status, consumer) = tokio::try_join!(producer, status, consumer)?;
    for ended in [&producer, &status, &consumer] {
        clean(ended, 1);
    }
    assert!(producer.stderr.contains("refuses this client"), "{}", producer.stderr);
    Ok(())
}

fn no_mark_in(recording: &Path) -> Result<()> {
    let mut hidden = 0;
    for entry in fs::read_dir(recording)? {
        let path = entry?.path();
        let file = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        assert!(!path.to_string_lossy().contains(MARK) && !file.contains(MARK), "recorded: {file}");
        hidden += file.matches("***").count();
    }
    // Twice in both bodies and once in the header of both errors, once in the HTML.
    assert_eq!(hidden, 7);
    Ok(())
}

#[tokio::test]
async fn a_consumer_shows_no_secret() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    world.crawl(&api)?.succeed().await?;
    let url = world.login(PASSWORD).await?;
    assert!(url.contains(PASSWORD));
    let consume = || anyhow::Ok(verbose(world.consume()?).env("DATABASE_URL", &url));
    let ended = consume()?.run().await?;
    clean(&ended, 0);
    for expected in ["\"level\":\"TRACE\"", "\"librdkafka\"", "sasl.password=***; ssl.key.password=***"] {
        assert!(ended.stderr.contains(expected), "never logged: {expected}");
    }
    // A record that can't be read.
    let producer: FutureProducer = world.kafka().create()?;
    let topic = world.topic("datasets");
    let odd = FutureRecord::<str, str>::to(&topic).key("us/odd").payload("{");
    producer.send_result(odd).map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;
    let ended = consume()?.run().await?;
    clean(&ended, 0);
    assert!(ended.stderr.contains(&topic), "{}", ended.stderr);
    // Unreachable databases, for which the consumer waits.
    for host in [NOWHERE, "nowhere.invalid"] {
        let url = format!("postgres://me:{PASSWORD}@{host}/catalog");
        let mut waiting = consume()?.env("DATABASE_URL", &url).start()?;
        waiting.logged(events::DATABASE_UNREACHABLE).await?;
        waiting.terminate()?;
        clean(&waiting.ended().await?, 143);
    }
    // A database that doesn't exist, and a URL with an unknown parameter.
    let known = url.split('?').next().context("a URL")?;
    let gone = format!("{known}_gone?pasword={PASSWORD}");
    clean(&consume()?.env("DATABASE_URL", &gone).run().await?, 1);
    // One that asks for the password and refuses it.
    let (address, reported) = refusing_database::start().await?;
    let url = format!("postgres://me:{PASSWORD}@{address}/catalog?sslmode=disable");
    let refused = consume()?.env("DATABASE_URL", &url).run().await?;
    clean(&refused, 1);
    let reason = "password authentication failed";
    assert!(refused.stderr.contains(reason) && reported.await?.contains(PASSWORD), "{}", refused.stderr);
    no_mark_in_topics(&world).await
}

#[tokio::test]
async fn a_database_that_refuses_tables_and_rows_exposes_no_secret() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    let url = world.login(PASSWORD).await?;
    let migrate = |schema| anyhow::Ok(verbose(world.ask(&["migrate", "--schema", schema])?));
    clean(&migrate("catalog")?.env("DATABASE_URL", &url).run().await?, 0);
    let clash = "create schema clash; create table clash.positions (other int)";
    sqlx::raw_sql(clash).execute(world.pool()).await?;
    clean(&migrate("clash")?.env("DATABASE_URL", &url).run().await?, 1);

    let test_check = "alter table socrata_domains add constraint test_check check (declared_count < 0)";
    sqlx::raw_sql(test_check).execute(world.pool()).await?;
    world.crawl(&api)?.succeed().await?;
    let refused = verbose(world.consume()?).env("DATABASE_URL", &url).args(["--max-dead-share", "1"]).run();
    clean(&refused.await?, 0);
    let letters = "select count(*) from dead_letters where reason like '%\"test_check\"%'";
    assert!(sqlx::query_scalar::<_, i64>(letters).fetch_one(world.pool()).await? > 0);
    no_mark_in_topics(&world).await
}

#[tokio::test]
async fn the_other_commands_of_the_consumer_show_no_secret() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    world.crawl(&api)?.succeed().await?;
    let url = world.login(PASSWORD).await?;
    clean(&verbose(world.consume()?).env("DATABASE_URL", &url).run().await?, 0);
    for program in [
        world.ask(&["migrate"])?,
        world.rebuild()?,
        world.verify_topics()?,
        world.ask(&["verify"])?,
        world.runs(["list"])?,
        world.ask(&["dead-letters", "list"])?,
    ] {
        let ended = verbose(program).env("DATABASE_URL", &url).run().await?;
        clean(&ended, 0);
        assert!(ended.stderr.contains("\"level\":\"DEBUG\""), "it logged little: {}", ended.stderr);
    }
    no_mark_in_topics(&world).await
}

#[tokio::test]
async fn an_unreachable_broker_exposes_no_secret() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    let url = world.login(PASSWORD).await?;
    // One waits until SIGTERM, the other fails.
    let mut producer = crawl(&world, &api)?.env("KAFKA_BROKERS", NOWHERE).start()?;
    producer.logged(events::KAFKA_UNREACHABLE).await?;
    producer.terminate()?;
    clean(&producer.ended().await?, 143);
    let consumer = verbose(world.consume()?).env("DATABASE_URL", &url).env("KAFKA_BROKERS", NOWHERE).run();
    clean(&consumer.await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_refused_command_line_is_not_quoted() -> Result<()> {
    let (world, api) = (World::unmigrated("").await?, api().await?);
    let sasl = format!("sasl.password={PASSWORD}");
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1/catalog");
    let producer = [
        vec!["--app-tokn", TOKEN],
        vec!["--kafka-option", "a=b", &sasl],
        vec!["--api-url", &url],
        vec!["--app-token", concat!("Ssst7Q", "\n", "Ssst7Q")],
    ];
    for args in producer {
        clean(&crawl(&world, &api)?.args(args).run().await?, 2);
    }
    let wrong_options = ["sasl.pasword=Ssst7Q", "sasl.password Ssst7Q", "client.id=a;Ssst7Q=="];
    for option in wrong_options {
        clean(&crawl(&world, &api)?.env("KAFKA_OPTIONS", option).run().await?, 2);
    }
    let consumer = [
        vec![url.as_str()],
        vec!["--databse-url", &url],
        vec!["--database-url", "postgres://me:Ssst7Q@127.0.0.1:Ssst7Q/catalog"],
        vec!["--database-url", "Ssst7Q"],
        vec!["--notify-url", "Ssst7Q"],
        vec!["--notify-url", "http://h.example/", "--notify-secret", concat!("Ssst7Q", "\n", "Ssst7Q")],
    ];
    for args in consumer {
        clean(&verbose(world.consume()?).args(args).run().await?, 2);
    }
    Ok(())
}
