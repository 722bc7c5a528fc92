//! At the most verbose level, with failures at each stage, no secret comes into any output, cassette or
//! topic.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use catalog_tests::double::{Double, Fault, Matcher, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Ended, Program, World};
use rdkafka::producer::{FutureProducer, FutureRecord};

/// In every secret of these tests, so that half of one is found too.
const MARK: &str = "Ssst7Q";
const TOKEN: &str = "Ssst7QappSsst7QtokenSsst7Q";
const PASSWORD: &str = "Ssst7QdatabaseSsst7Q";
const OPTIONS: &str =
    "debug=all\nsasl.username=me\nsasl.password=Ssst7QsaslSsst7Q\nssl.key.password=Ssst7QkeySsst7Q";
/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

fn verbose(program: Program) -> Program {
    let program = program.env("RUST_LOG", "trace").env("KAFKA_OPTIONS", OPTIONS);
    program.env("SOCRATA_APP_TOKEN", TOKEN)
}

/// A crawl that says all it can, in pages of 10 over one lane.
fn crawl(world: &World, double: &Double) -> Result<Program> {
    Ok(verbose(world.crawl(double)?).args(["--page-size", "10", "--concurrency", "1"]))
}

#[track_caller]
fn clean(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    for line in ended.stdout.lines().chain(ended.stderr.lines()) {
        assert!(!line.contains(MARK), "told: {line}");
    }
}

async fn double() -> Result<Double> {
    Ok(Double::start(Options::new(Synthetic::new(40, 3)).tokens([TOKEN])).await?)
}

/// An API that quotes the token in an error's body, across the end of what an error shows, and in a
/// header.
fn quoting(status: u16) -> Fault {
    let body = format!("Invalid app_token {TOKEN} {} {TOKEN}", "x".repeat(130));
    Fault::Status { status, retry_after: Some(TOKEN.to_owned()), body: Some(body) }
}

#[tokio::test]
async fn a_crawl_tells_no_secret() -> Result<()> {
    let (world, double, folder) = (World::new().await?, double().await?, tempfile::tempdir()?);
    double.fail_once(Matcher::domains(), quoting(503));
    double.fail_once(Matcher::pages(), Fault::Html);
    let html_with_token = Fault::Status { status: 200, retry_after: None, body: Some(format!("<p>{TOKEN}")) };
    double.fail_once(Matcher::pages().nth(3), html_with_token);
    let forbidden = double.fail_once(Matcher::pages().nth(5), quoting(403));
    let record = folder.path().to_string_lossy().into_owned();
    let ended = crawl(&world, &double)?.args(["--record", &record]).run().await?;
    clean(&ended, 1);
    assert_eq!(forbidden.fired(), 1);
    clean(&crawl(&world, &double)?.args(["--record", &record]).run().await?, 0);

    // What makes this a test: the secrets were in use, all was said, and what was hidden was there.
    assert!(double.requests().iter().all(|asked| asked.headers["x-app-token"] == TOKEN));
    for said in ["\"level\":\"TRACE\"", "Invalid app_token ***", "sasl.password=***; ssl.key.password=***"] {
        assert!(ended.stderr.contains(said), "never said: {said}");
    }
    no_mark_in(folder.path())?;
    for record in world.all_records().await? {
        let told = format!("{record:?} {}", String::from_utf8_lossy(&record.value));
        assert!(!told.contains(MARK), "published: {told}");
    }
    Ok(())
}

fn no_mark_in(cassette: &Path) -> Result<()> {
    let mut hidden = 0;
    for entry in fs::read_dir(cassette)? {
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
async fn a_consumer_tells_no_secret() -> Result<()> {
    let (world, double) = (World::new().await?, double().await?);
    world.crawl(&double)?.succeed().await?;
    let url = world.login(PASSWORD).await?;
    assert!(url.contains(PASSWORD));
    let consume = || anyhow::Ok(verbose(world.consume()?).env("DATABASE_URL", &url));
    let ended = consume()?.run().await?;
    clean(&ended, 0);
    for said in ["\"level\":\"TRACE\"", "\"librdkafka\"", "sasl.password=***; ssl.key.password=***"] {
        assert!(ended.stderr.contains(said), "never said: {said}");
    }
    // A record that can't be read.
    let producer: FutureProducer = world.kafka().create()?;
    let topic = world.topic("datasets");
    let odd = FutureRecord::<str, str>::to(&topic).key("us/odd").payload("{");
    producer.send_result(odd).map_err(|(error, _)| error)?.await?.map_err(|(error, _)| error)?;
    let ended = consume()?.run().await?;
    clean(&ended, 0);
    assert!(ended.stderr.contains(&topic), "{}", ended.stderr);
    // Databases that are away, which are waited for.
    for host in [NOWHERE, "nowhere.invalid"] {
        let url = format!("postgres://me:{PASSWORD}@{host}/catalog");
        let mut waiting = consume()?.env("DATABASE_URL", &url).start()?;
        waiting.logged("trouble with the database; trying again until it passes").await?;
        waiting.terminate()?;
        clean(&waiting.ended().await?, 0);
    }
    // One that isn't there, and a URL with a parameter that nobody knows.
    let known = url.split('?').next().context("a URL")?;
    let gone = format!("{known}_gone?pasword={PASSWORD}");
    clean(&consume()?.env("DATABASE_URL", &gone).run().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_away_brings_out_no_secret() -> Result<()> {
    let (world, double) = (World::new().await?, double().await?);
    let url = world.login(PASSWORD).await?;
    // The one waits until it is asked to stop, the other gives up.
    let mut producer = crawl(&world, &double)?.env("KAFKA_BROKERS", NOWHERE).start()?;
    producer.logged("Kafka can't be reached; waiting for it").await?;
    producer.terminate()?;
    clean(&producer.ended().await?, 0);
    let consumer = verbose(world.consume()?).env("DATABASE_URL", &url).env("KAFKA_BROKERS", NOWHERE).run();
    clean(&consumer.await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_command_line_that_is_refused_is_not_quoted() -> Result<()> {
    let (world, double) = (World::new().await?, double().await?);
    let sasl = format!("sasl.password={PASSWORD}");
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1/catalog");
    let producer = [
        vec!["--app-tokn", TOKEN],
        vec!["--kafka-option", "a=b", &sasl],
        vec!["--api-url", &url],
        vec!["--app-token", concat!("Ssst7Q", "\n", "Ssst7Q")],
    ];
    for args in producer {
        clean(&crawl(&world, &double)?.args(args).run().await?, 2);
    }
    let wrong_options = ["sasl.pasword=Ssst7Q", "sasl.password Ssst7Q", "client.id=a;Ssst7Q=="];
    for option in wrong_options {
        clean(&crawl(&world, &double)?.env("KAFKA_OPTIONS", option).run().await?, 2);
    }
    let consumer = [
        vec![url.as_str()],
        vec!["--databse-url", &url],
        vec!["--database-url", "postgres://me:Ssst7Q@127.0.0.1:Ssst7Q/catalog"],
        vec!["--database-url", "Ssst7Q"],
    ];
    for args in consumer {
        clean(&verbose(world.consume()?).args(args).run().await?, 2);
    }
    Ok(())
}
