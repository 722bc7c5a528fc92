//! A crawl without a rate limit against a plain download of the same pages by the same HTTP client, in
//! one run: what cutting, publishing and the cursor cost.
//!
//! ```text
//! eval "$(dev/services up)"; cargo build --release
//! cargo bench -p catalog-tests --bench unlimited -- --assets 50000
//! ```

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use catalog_tests::double::{Asked, Double, MemoryCatalog, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use clap::Parser;
use futures::future::try_join_all;

/// Measures crawls and downloads in turn
#[derive(Parser)]
struct Arguments {
    /// Assets of the synthetic catalog, held in memory
    #[arg(long, default_value_t = 50_000)]
    assets: u64,
    /// Assets a page
    #[arg(long, default_value_t = 1000)]
    page_size: usize,
    /// Lanes of the crawl, and connections of the download
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// How often both are measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let catalog = MemoryCatalog::from_objects(Synthetic::new(arguments.assets, 40).objects())?;
    let ids = catalog.ids();
    let double = Double::start(Options::new(catalog)).await?;
    let mut ratios = Vec::new();
    for _ in 0..arguments.rounds {
        let download = download(&arguments, &double, &ids).await?;
        let crawl = crawl(&arguments, &double).await?;
        ratios.push(crawl.as_secs_f64() / download.as_secs_f64());
        let mut out = std::io::stdout().lock();
        writeln!(out, "download {download:.2?}  crawl {crawl:.2?}  ratio {:.2}", ratios[ratios.len() - 1])?;
    }
    ratios.sort_by(f64::total_cmp);
    writeln!(std::io::stdout(), "median ratio {:.2}", ratios[ratios.len() / 2])?;
    Ok(())
}

/// Downloads the pages that a crawl would ask for, each connection a run of them, and looks at none.
async fn download(arguments: &Arguments, double: &Double, ids: &[String]) -> Result<Duration> {
    let before = double.requests().len();
    let client = reqwest::Client::builder().build()?;
    let starts: Vec<&str> = std::iter::once("")
        .chain(ids.chunks(arguments.page_size).filter_map(|page| page.last()).map(String::as_str))
        .collect();
    let share = starts.len().div_ceil(arguments.concurrency);
    let connection = |starts: &'_ [&str]| {
        let (client, url, limit) = (client.clone(), double.url(), arguments.page_size.to_string());
        let starts: Vec<String> = starts.iter().map(|start| (*start).to_owned()).collect();
        async move {
            for start in starts {
                let query = [("scroll_id", start.as_str()), ("limit", limit.as_str())];
                let url = reqwest::Url::parse_with_params(&url, query)?;
                client.get(url).send().await?.error_for_status()?.bytes().await?;
            }
            anyhow::Ok(())
        }
    };
    try_join_all(starts.chunks(share).map(connection)).await?;
    span(&double.requests()[before..])
}

async fn crawl(arguments: &Arguments, double: &Double) -> Result<Duration> {
    let before = double.requests().len();
    let world = World::new().await?;
    let program = world.crawl(double)?.args(["--page-size", &arguments.page_size.to_string()]);
    let program = program.args(["--concurrency", &arguments.concurrency.to_string()]);
    let summary = program.succeed().await?.summary()?;
    ensure!(summary["published"]["datasets"] == arguments.assets, "{summary}");
    span(&double.requests()[before..])
}

/// From the first request for a page to the last.
fn span(asked: &[Asked]) -> Result<Duration> {
    let mut pages = asked.iter().filter(|asked| asked.is_page()).map(|asked| asked.at);
    let first = pages.next().context("no page was asked for")?;
    Ok(pages.max().unwrap_or(first).duration_since(first))
}
