//! If the log or the answer can't be written, the work continues, signals still work, and lost lines are counted.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::timeout;

const ASSETS: u64 = 500;

/// A disk on which nothing can be written.
fn full() -> Result<Stdio> {
    Ok(OpenOptions::new().write(true).open("/dev/full")?.into())
}

/// A pipe without a reader.
fn closed() -> Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}

/// The exit code and the output. Fails if the program hangs.
async fn ended(mut child: Child) -> Result<(Option<i32>, String)> {
    let mut stdout = String::new();
    let end = async {
        if let Some(mut out) = child.stdout.take() {
            out.read_to_string(&mut stdout).await?;
        }
        anyhow::Ok(child.wait().await?)
    };
    let status = timeout(Duration::from_secs(120), end).await.context("it never ended")??;
    Ok((status.code(), stdout))
}

fn terminate(child: &Child) -> Result<()> {
    let pid = child.id().context("it has ended")?.to_string();
    anyhow::ensure!(std::process::Command::new("kill").args(["-s", "TERM", &pid]).status()?.success());
    Ok(())
}

#[tokio::test]
async fn a_crawl_whose_log_can_not_be_written_continues_and_counts_lost_lines() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    for stderr in [full()?, closed()?] {
        let crawl = world.crawl(&api)?.start_on(Stdio::piped(), stderr)?;
        let (code, stdout) = ended(crawl).await?;
        let reported: Value = serde_json::from_str(&stdout)?;
        assert_eq!((code, reported["whole"].as_bool()), (Some(0), Some(true)), "{stdout}");
        assert!(reported["log_lines_lost"].as_u64() > Some(0), "{stdout}");
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_whose_log_can_not_be_written_applies_everything_and_reacts_to_signals() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    world.crawl(&api)?.succeed().await?;
    world.migrate().await?;
    // Nothing reads the pipe until the program has ended, and it buffers 64 KiB at most.
    let (mut reader, writer) = std::io::pipe()?;
    let member = world.member()?.env("RUST_LOG", "trace,librdkafka=trace").env("KAFKA_OPTIONS", "debug=all");
    let member = member.start_on(Stdio::piped(), writer.into())?;
    world.until("select exists (select from runs where state = 'balanced')").await?;
    terminate(&member)?;
    let (code, stdout) = ended(member).await?;
    assert_eq!(code, Some(0), "{stdout}");
    assert!(serde_json::from_str::<Value>(&stdout)?["log_lines_lost"].as_u64() > Some(0), "{stdout}");
    let mut read = Vec::new();
    reader.read_to_end(&mut read)?;
    assert!(read.len() >= 32 * 1024, "the pipe was never full: {} bytes", read.len());

    for stderr in [full()?, closed()?] {
        world.crawl(&api)?.succeed().await?;
        let (code, stdout) = ended(world.consume()?.start_on(Stdio::piped(), stderr)?).await?;
        assert_eq!(code, Some(0), "{stdout}");
        let reported: Value = serde_json::from_str(&stdout)?;
        assert_eq!(
            (&reported["caught_up"], reported["log_lines_lost"].as_u64() > Some(0)),
            (&Value::Bool(true), true)
        );
    }
    let member = world.member()?.start_on(Stdio::piped(), full()?)?;
    world.crawl(&api)?.succeed().await?;
    world.until("select exists (select from runs where run = 4 and state = 'balanced')").await?;
    terminate(&member)?;
    assert_eq!(ended(member).await?.0, Some(0));
    Ok(())
}

#[tokio::test]
async fn an_answer_without_a_reader_is_not_an_error_but_a_full_disk_is() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 5))).await?;
    let (code, _) = ended(world.crawl(&api)?.start_on(closed()?, Stdio::null())?).await?;
    assert_eq!(code, Some(0));
    world.migrate().await?;
    for json in [&["runs", "list"][..], &["runs", "list", "--json"], &["--help"]] {
        let (code, _) = ended(world.ask(json)?.start_on(closed()?, Stdio::null())?).await?;
        assert_eq!(code, Some(0), "{json:?}");
        let mut child = world.ask(json)?.start_on(full()?, Stdio::piped())?;
        let mut log = String::new();
        child.stderr.take().context("a pipe")?.read_to_string(&mut log).await?;
        assert_eq!(ended(child).await?.0, Some(1), "{json:?}: {log}");
        assert!(json == ["--help"] || log.contains("can't write to standard output"), "{log}");
    }
    Ok(())
}
