//! Both programs with nothing to do: a consumer that has applied everything, and a crawl that waits for its rate.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use tokio::time::sleep;

use crate::bench::Bench;
use crate::figure::{Bound, Of, Row, Unit};
use crate::program::{mebibytes, quiet, run};

/// How long to wait until both are idle, and how long to measure them.
const SETTLE: Duration = Duration::from_secs(8);
const WATCH: Duration = Duration::from_secs(20);
/// The clock ticks per second of CPU time in /proc.
const TICKS: f64 = 100.0;
/// One page per 100 seconds.
const RATE: &str = "0.01";

/// Measures both at the same time, once.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    bench.progress("idle")?;
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(5_000, 40))).await?;
    run(world.crawl(&api)?.args(["--partitions", "6"])).await?;
    run(world.consume()?).await?;
    let consumer = quiet(world.member()?).start()?;
    let producer = quiet(world.crawl(&api)?.args(["--rate", RATE])).start()?;
    sleep(SETTLE).await;
    let programs = [("consumer", consumer.id()?), ("producer", producer.id()?)];
    let before = programs.map(|(_, id)| cpu_seconds(id));
    sleep(WATCH).await;
    for ((name, id), before) in programs.into_iter().zip(before) {
        let share = 100.0 * (cpu_seconds(id)? - before?) / WATCH.as_secs_f64();
        let memory = mebibytes(&format!("/proc/{id}/status"), "VmRSS").context("it runs")?;
        let what = format!("idle {name}, CPU of a core");
        bench.add(
            Row::new(what, Unit::Percent, vec![share]).map(|row| row.target(Of::Ours, Bound::AtMost(1.0))),
        );
        let what = format!("idle {name}, memory");
        bench.add(
            Row::new(what, Unit::Mebibytes, vec![memory])
                .map(|row| row.target(Of::Ours, Bound::AtMost(40.0))),
        );
    }
    Ok(())
}

/// The CPU time that a process has used so far, on all cores.
fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name is in brackets and may contain any text. User and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').context("the name is in brackets")?;
    let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(times.sum::<Result<f64, _>>()? / TICKS)
}
