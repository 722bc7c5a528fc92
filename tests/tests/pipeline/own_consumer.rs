//! The program in Python that docs/how-to/own-consumer.md shows.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::Page;
use catalog_tests::history::History;
use catalog_tests::world::{Sent, World};
use tokio::process::Command;
use tokio::time::timeout;

/// `python3` in the path may be another Python than Debian's, and only Debian's finds Debian's packages.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];
const LIMIT: Duration = Duration::from_secs(120);

/// A Python that has the package of the program.
async fn python() -> Option<&'static str> {
    for python in PYTHONS {
        let asked = Command::new(python).args(["-c", "import confluent_kafka"]).output().await;
        if asked.is_ok_and(|asked| asked.status.success()) {
            return Some(python);
        }
    }
    None
}

/// The program, with the topics of this world and a group of its own.
fn program(world: &World) -> Result<String> {
    let blocks = Page::read("docs/how-to/own-consumer.md")?.blocks()?;
    let block = blocks.into_iter().find(|block| block.language == "python");
    let program = block.context("the page has no program in Python")?.text;
    let own = program
        .replace("socrata.datasets", &world.topic("datasets"))
        .replace("my-program", &world.topic("own"))
        // The first poll also waits until the group has been joined, which takes longer on a busy machine.
        .replace("poll(10)", "poll(30)");
    let changed = [world.topic("datasets"), world.topic("own"), "poll(30)".to_owned()];
    ensure!(changed.iter().all(|text| own.contains(text.as_str())), "{own}");
    Ok(own)
}

/// Sends an older version of a dataset after the newest one.
async fn send_older(world: &World) -> Result<()> {
    let records = world.records("datasets").await?;
    let record = records.iter().find(|record| !record.is_end_record()).context("no dataset was published")?;
    let headers = [("kind", "datasets"), ("schema", "1"), ("region", "us"), ("run", "0"), ("page", "9")];
    let (key, value) = (record.key.as_bytes(), br#"{"resource": {"name": "older"}}"#);
    let older = Sent { partition: record.partition, key: Some(key), value: Some(value), headers: &headers };
    world.send("datasets", older).await?;
    Ok(())
}

/// Runs the program, and returns what it prints.
async fn run(python: &str, world: &World) -> Result<String> {
    let mut command = Command::new(python);
    let kafka = world.kafka();
    let brokers = kafka.get("bootstrap.servers").context("a world has brokers")?;
    command.arg("-c").arg(program(world)?).env("KAFKA_BROKERS", brokers);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(LIMIT, command.output()).await.context("the program did not end")??;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(String::from_utf8(ended.stdout)?)
}

#[tokio::test]
async fn the_program_in_python_finds_the_newest_version_of_each_dataset() -> Result<()> {
    let Some(python) = python().await else {
        ensure!(std::env::var_os("CI").is_none(), "confluent-kafka is missing: run `dev/setup tests`");
        // Not `eprintln!`, which is shown only when a test fails.
        writeln!(std::io::stderr(), "skipped: Python has no confluent-kafka, so an example is not run")?;
        return Ok(());
    };
    let history = History::new(&[("a.example", 60), ("b.example", 40)]).await?;
    history.run(&[]).await?;
    let world = &history.world;
    send_older(world).await?;
    let printed = run(python, world).await?;
    let mut found: Vec<&str> = printed.lines().collect();
    let applied = "select concat(region, '/', domain, '/', id, e'\t', name) from socrata_datasets";
    let mut applied: Vec<String> = sqlx::query_scalar(applied).fetch_all(world.pool()).await?;
    found.sort_unstable();
    applied.sort_unstable();
    assert_eq!(applied.len(), 100);
    assert_eq!(found, applied);
    Ok(())
}
