//! How long both programs take to start: from the start of the process to the first 200 of `/readyz`.

use std::time::Instant;

use anyhow::{Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Program, World};

use crate::bench::Bench;
use crate::figure::{Row, Unit};
use crate::program::{quiet, run};

/// A producer that waits: the next slot is years away.
const SCHEDULE: [&str; 6] = ["--every", "3650d", "--full-every", "3650d", "--jitter", "0"];

/// Measures starts on a catalog that is crawled and applied, as after an upgrade.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(5_000, 40))).await?;
    run(world.crawl(&api)?.args(["--partitions", "6"])).await?;
    run(world.consume()?).await?;
    let (mut consumer, mut producer) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        bench.progress(&format!("start: round {} of {}", round + 1, bench.rounds))?;
        consumer.push(milliseconds_to_ready(world.plain_run()?).await?);
        producer.push(milliseconds_to_ready(world.crawl(&api)?.args(SCHEDULE)).await?);
    }
    let note = "from the start of the process to 200 at /readyz, polled each 20 ms";
    let row = Row::new("start of a consumer, alone in its group", Unit::Milliseconds, consumer);
    bench.add(row.map(|row| row.note(note)));
    let row = Row::new("start of a producer with --every", Unit::Milliseconds, producer);
    bench.add(row.map(|row| row.note(note)));
    Ok(())
}

/// Starts a program, measures it, and lets it end.
async fn milliseconds_to_ready(program: Program) -> Result<f64> {
    let started = Instant::now();
    let mut running = quiet(program).args(["--metrics-addr", "0"]).start()?;
    let port = running.watched().await?;
    port.until("/readyz", 200, |_| true).await?;
    let took = started.elapsed();
    running.terminate()?;
    let ended = running.ended().await?;
    ensure!(ended.code == Some(0), "exit {:?}:\n{}", ended.code, ended.stderr);
    Ok(took.as_secs_f64() * 1e3)
}
