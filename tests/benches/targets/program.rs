//! Runs and measures the real programs.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::MockServer;
use catalog_tests::world::{Program, World};
use serde_json::Value;
use tokio::time::interval;

use crate::figure::Figure;
use crate::report::field;

/// How often the peak of memory is read. The kernel drops it when a process ends, so what comes in the last moment
/// is missed; it never falls before.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The maximum duration of a run.
const LIMIT: Duration = Duration::from_secs(3600);

/// A run of a program to its end.
pub(crate) struct Run {
    /// Its summary.
    pub(crate) summary: Value,
    /// Its largest resident set in MiB.
    pub(crate) peak: f64,
}

/// Runs a program to its end and expects success.
pub(crate) async fn run(program: Program) -> Result<Run> {
    let running = quiet(program).start()?;
    let status = format!("/proc/{}/status", running.id()?);
    let (mut peak, mut again) = (0.0, interval(POLL_INTERVAL));
    let mut ended = pin!(running.ended());
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended?,
            _ = again.tick() => peak = mebibytes(&status, "VmHWM").unwrap_or(peak),
        }
    };
    ensure!(ended.code == Some(0), "exit {:?}:\n{}{}", ended.code, ended.stdout, ended.stderr);
    ensure!(peak > 0.0, "the program ended before its memory was read");
    Ok(Run { summary: ended.summary()?, peak })
}

/// The log level of production. Tests use a more verbose one.
pub(crate) fn quiet(program: Program) -> Program {
    program.env("RUST_LOG", "info").within(LIMIT)
}

/// A size from the status of a process, in MiB. None if the process has ended.
pub(crate) fn mebibytes(status: &str, name: &str) -> Option<f64> {
    let kib: f64 = field(status, name)?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

/// A crawl as in production: pages of 1,000 assets, and 6 partitions.
pub(crate) async fn crawl(world: &World, api: &MockServer) -> Result<Run> {
    run(world.crawl(api)?.args(["--page-size", "1000", "--partitions", "6"])).await
}

/// A consumer's run until it had caught up.
pub(crate) struct Consumed {
    pub(crate) run: Run,
    /// The number of all records, and the time from the first received to the last applied one.
    pub(crate) figure: Figure,
}

impl Consumed {
    /// How many datasets had an effect such as `new`.
    pub(crate) fn datasets(&self, effect: &str) -> u64 {
        self.run.summary["records"]["datasets"][effect].as_u64().unwrap_or_default()
    }

    /// Fails unless exactly this number of datasets had the effect. Otherwise the measurement is wrong.
    pub(crate) fn expect(self, effect: &str, datasets: usize) -> Result<Self> {
        let summary = &self.run.summary;
        ensure!(self.datasets(effect) == datasets as u64, "not {datasets} {effect} datasets: {summary}");
        Ok(self)
    }
}

/// Applies all records of the topics to a schema, with a separate group.
pub(crate) async fn consume(world: &World, schema: &str, connections: usize) -> Result<Consumed> {
    let program = world.consume()?.args(["--group", &world.topic(schema), "--schema", schema]);
    let run = run(program.args(["--connections", &connections.to_string()])).await?;
    let figure = Figure { records: records(&run.summary)?, seconds: seconds(&run.summary)? };
    Ok(Consumed { run, figure })
}

fn records(summary: &Value) -> Result<u64> {
    let kinds = summary["records"].as_object().context("the summary has records")?;
    let effects = kinds.values().filter_map(Value::as_object).flat_map(|effects| effects.values());
    Ok(effects.filter_map(Value::as_u64).sum())
}

/// The duration in a summary.
pub(crate) fn seconds(summary: &Value) -> Result<f64> {
    summary["seconds"].as_f64().context("the summary has seconds")
}
