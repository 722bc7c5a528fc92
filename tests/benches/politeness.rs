//! How polite and how quick a crawl is, as the API sees it: a crawl by the real program, measured in the
//! log of the API's mock server.
//!
//! ```text
//! eval "$(dev/services up)"; cargo build --release
//! cargo bench -p catalog-tests --bench politeness -- --rate 10 --pages 200
//! ```

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use catalog_tests::mock_server::{Asked, Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use clap::Parser;
use serde_json::Value;

/// Measures a crawl of a synthetic catalog
#[derive(Parser)]
struct Arguments {
    /// Requests a second, as of the producer
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Lanes
    #[arg(long, default_value_t = 2)]
    concurrency: u16,
    /// Full pages that the catalog has
    #[arg(long, default_value_t = 200)]
    pages: u64,
    /// Assets a page
    #[arg(long, default_value_t = 100)]
    page_size: u16,
    /// Milliseconds before the first byte of each answer
    #[arg(long, default_value_t = 50)]
    latency_ms: u64,
    /// The share of requests that get a bad answer, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    faults: f64,
    /// What draws them
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// A slow rate over many pages takes its time.
const LIMIT: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let assets = arguments.pages * u64::from(arguments.page_size);
    let options =
        Options::new(Synthetic::new(assets, 40)).latency(Duration::from_millis(arguments.latency_ms));
    let api = MockServer::start(options).await?;
    let bad = Matcher::any().share(arguments.faults, arguments.seed);
    let bad = api.fail(bad, Fault::one_of(arguments.seed, kinds()));
    let world = World::new().await?;
    let summary = world
        .crawl(&api)?
        .args(["--rate", &arguments.rate.to_string(), "--page-size", &arguments.page_size.to_string()])
        .args(["--concurrency", &arguments.concurrency.to_string(), "--timeout", "2s"])
        .within(LIMIT)
        .succeed()
        .await?
        .summary()?;
    report(&arguments, &api.requests(), bad.fired(), &summary)
}

/// Every way in which an answer fails for a while.
fn kinds() -> [Fault; 10] {
    [
        Fault::too_many_requests(None),
        Fault::too_many_requests(Some("1")),
        Fault::status(500),
        Fault::status(503),
        Fault::CutJson,
        Fault::CutConnection,
        Fault::Html,
        Fault::Hang,
        Fault::Stall,
        Fault::Reset,
    ]
}

fn report(arguments: &Arguments, asked: &[Asked], bad: u64, summary: &Value) -> Result<()> {
    let times: Vec<Instant> = asked.iter().map(|asked| asked.at).collect();
    let (first, last) = times.first().zip(times.last()).context("nothing was asked")?;
    let took = last.duration_since(*first).as_secs_f64();
    let pages = arguments.pages as f64;
    let rate = arguments.rate;
    let most = most_in_a_second(&times);
    let closest = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or_default();
    let in_flight = asked.iter().map(|asked| asked.in_flight).max().unwrap_or_default();
    let mut out = std::io::stdout().lock();
    writeln!(out, "requests               {} for {pages} full pages, {bad} with a bad answer", asked.len())?;
    writeln!(out, "requests / pages       {:.3}", asked.len() as f64 / pages)?;
    writeln!(
        out,
        "most in any second     {most} at --rate {rate} and a burst of 1: {:.3}",
        most as f64 / rate
    )?;
    writeln!(
        out,
        "closest two requests   {closest:.1?}, 1 / rate is {:.1?}",
        Duration::from_secs_f64(1.0 / rate)
    )?;
    writeln!(out, "most in flight         {in_flight} at --concurrency {}", arguments.concurrency)?;
    writeln!(out, "time / (pages / rate)  {:.3}  ({took:.1} s)", took / (pages / rate))?;
    writeln!(
        out,
        "published              {} datasets, {} skipped",
        summary["published"]["datasets"], summary["skipped"]
    )?;
    Ok(())
}

/// The largest number of requests that any second holds, wherever it begins.
fn most_in_a_second(times: &[Instant]) -> usize {
    let second = Duration::from_secs(1);
    let from = |(index, start): (usize, &Instant)| {
        times[index..].iter().take_while(|time| time.duration_since(*start) < second).count()
    };
    times.iter().enumerate().map(from).max().unwrap_or_default()
}
