//! The memory of a crawl does not grow with the catalog: the peak of the real program over two synthetic
//! catalogs, one ten times as large as the other, without a rate limit and at the default page size.
//!
//! ```text
//! eval "$(dev/services up)"; cargo build --release
//! cargo bench -p catalog-tests --bench memory
//! ```

use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Program, World};
use clap::Parser;
use tokio::time::interval;

/// Measures the peak memory of crawls of two catalogs
#[derive(Parser)]
struct Arguments {
    /// Assets of the smaller catalog, computed as they are asked for
    #[arg(long, default_value_t = 100_000)]
    small: u64,
    /// Assets of the larger catalog
    #[arg(long, default_value_t = 1_000_000)]
    large: u64,
    /// Assets a page
    #[arg(long, default_value_t = 1000)]
    page_size: u16,
    /// Lanes of the crawl
    #[arg(long, default_value_t = 2)]
    concurrency: u16,
    /// Measures a consumer of the same topics too
    #[arg(long)]
    consume: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// How often the peak is read. The system forgets it at the end of a process, so what comes in the last
/// moment is missed; it never falls before.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(3600);

/// Peaks in MiB.
struct Peaks {
    producer: f64,
    consumer: Option<f64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let small = peaks(&arguments, arguments.small).await?;
    let large = peaks(&arguments, arguments.large).await?;
    tell("producer", small.producer, large.producer)?;
    if let Some((small, large)) = small.consumer.zip(large.consumer) {
        tell("consumer", small, large)?;
    }
    Ok(())
}

fn tell(program: &str, small: f64, large: f64) -> Result<()> {
    let ratio = large / small;
    writeln!(std::io::stdout(), "{program}: {small:.1} MiB, {large:.1} MiB, ratio {ratio:.3}")?;
    Ok(())
}

/// The peaks over a catalog of so many assets.
async fn peaks(arguments: &Arguments, assets: u64) -> Result<Peaks> {
    let api = MockServer::start(Options::new(Synthetic::new(assets, 40))).await?;
    let world = World::new().await?;
    let (page_size, lanes) = (arguments.page_size.to_string(), arguments.concurrency.to_string());
    let crawl = world.crawl(&api)?.args(["--page-size", &page_size, "--partitions", "6"]);
    let producer = peak(crawl.args(["--concurrency", &lanes])).await?;
    let consumer = if arguments.consume { Some(peak(world.consume()?).await?) } else { None };
    writeln!(std::io::stdout(), "{assets} assets: producer {producer:.1} MiB")?;
    Ok(Peaks { producer, consumer })
}

/// Runs a program to its end and returns its largest resident set in MiB.
async fn peak(program: Program) -> Result<f64> {
    let running = program.env("RUST_LOG", "info").within(LIMIT).start()?;
    let status = format!("/proc/{}/status", running.id()?);
    let (mut peak, mut again) = (0, interval(LOOK_AGAIN));
    let mut ended = pin!(running.ended());
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended?,
            _ = again.tick() => peak = read_peak(&status)?.unwrap_or(peak),
        }
    };
    ensure!(ended.code == Some(0), "exit {:?}:\n{}{}", ended.code, ended.stdout, ended.stderr);
    ensure!(peak > 0, "the program ended before it was looked at");
    Ok(peak as f64 / 1024.0)
}

/// `VmHWM` in KiB; none of a process that has just ended.
fn read_peak(status: &str) -> Result<Option<u64>> {
    let Ok(status) = std::fs::read_to_string(status) else { return Ok(None) };
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { return Ok(None) };
    let number = line.trim().strip_suffix(" kB").context("VmHWM is in kB")?;
    Ok(Some(number.parse()?))
}
