//! Serves a catalog as the Discovery API does, for demonstrations, measurements and manual tests.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Parser;
use discovery_double::mock_server::{MemoryCatalog, MockServer, Options, Region};
use discovery_double::synthetic::Synthetic;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{SignalKind, signal};

/// Serves a catalog as the Discovery API does, until SIGINT or SIGTERM.
///
/// The first line on standard output is the catalog's URL, and nothing else is ever written there.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The number of assets of the synthetic catalog
    #[arg(long, value_name = "ASSETS", default_value_t = 5_000, conflicts_with = "ndjson")]
    synthetic: u64,
    /// The number of domains with assets. /domains lists four more, without assets
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..))]
    domains: u16,
    /// Show the synthetic catalog this many days later, with other page views
    #[arg(long, default_value_t = 0, conflicts_with = "ndjson")]
    day: u32,
    /// The time that recent dates of the synthetic catalog are relative to, in RFC 3339; the start by default
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "ndjson")]
    now: Option<OffsetDateTime>,
    /// Serve this file instead: one result object a line, plain or gzip
    #[arg(long, value_name = "FILE")]
    ndjson: Option<PathBuf>,
    /// The region to answer as
    #[arg(long, default_value = "us", value_name = "us|eu")]
    region: Region,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Send answers without compression
    #[arg(long)]
    no_gzip: bool,
    /// Send answers with a Content-Length and not in chunks
    #[arg(long)]
    no_chunks: bool,
    /// Send compact JSON and not the API's pretty-printed form
    #[arg(long)]
    compact: bool,
    /// Keep the order of columns, tags and metadata from crawl to crawl
    #[arg(long)]
    keep_order: bool,
    /// Draw the orders of columns, tags and metadata from this number; without it from the time of the start
    #[arg(long, value_name = "N", conflicts_with = "keep_order")]
    order_seed: Option<u64>,
    /// Milliseconds before the first byte of each answer
    #[arg(long, default_value_t = 0, value_name = "N")]
    latency_ms: u64,
    /// Print the catalog's URL. It is always printed, so this flag changes nothing
    #[arg(long)]
    print_url: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match serve(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let options = catalog(arguments)?
        .region(arguments.region)
        .listen(arguments.listen)
        .gzip(!arguments.no_gzip)
        .chunked(!arguments.no_chunks)
        .pretty(!arguments.compact)
        .reorder(!arguments.keep_order)
        .order_seed(arguments.order_seed.unwrap_or_else(from_clock))
        .latency(Duration::from_millis(arguments.latency_ms));
    let api =
        MockServer::start(options).await.with_context(|| format!("can't listen on {}", arguments.listen))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", api.url())?;
    out.flush()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn catalog(arguments: &Arguments) -> anyhow::Result<Options> {
    let Some(path) = &arguments.ndjson else {
        let domains = usize::from(arguments.domains);
        let catalog = Synthetic::in_region(arguments.region, arguments.synthetic, domains);
        let now = arguments.now.unwrap_or_else(OffsetDateTime::now_utc);
        return Ok(Options::new(catalog.with_page_views_of(arguments.day).with_recent_changes(now)));
    };
    let catalog =
        MemoryCatalog::from_ndjson(path).with_context(|| format!("can't serve {}", path.display()))?;
    Ok(Options::new(catalog))
}

fn time(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

/// The seconds since 1970.
fn from_clock() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs())
}
