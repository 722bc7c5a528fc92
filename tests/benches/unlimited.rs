//! A crawl without a rate limit against its two halves, in one run: a plain download of the same pages by
//! the same HTTP client, and the same objects published without a crawl, a transaction a page. A crawl
//! can't be faster than the slower one.
//!
//! ```text
//! eval "$(dev/services up)"; cargo build --release
//! cargo bench -p catalog-tests --bench unlimited -- --assets 50000
//! ```

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_shared::record::{Content, RecordType, Stamp, Version};
use catalog_shared::region::Region;
use catalog_tests::mock_server::{Asked, MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use clap::Parser;
use futures::future::try_join_all;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use time::OffsetDateTime;
use tokio::task::block_in_place;

/// Measures downloads, crawls and publishing in turn
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
    /// How often all are measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let objects: Vec<Bytes> = Synthetic::new(arguments.assets, 40).objects().collect();
    let catalog = MemoryCatalog::from_objects(objects.iter().cloned())?;
    let ids = catalog.ids();
    // Not compressed, because the mock server's gzip would take a large part of both times on the same machine.
    let api = MockServer::start(Options::new(catalog).gzip(false)).await?;
    let (mut to_download, mut to_publish) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let world = World::new().await?;
        let download = download(&arguments, &api, &ids).await?;
        let crawl = crawl(&arguments, &api, &world).await?;
        let publish = publish(&arguments, &world, &objects).await?;
        to_download.push(crawl.as_secs_f64() / download.as_secs_f64());
        to_publish.push(crawl.as_secs_f64() / publish.as_secs_f64());
        let mut out = std::io::stdout().lock();
        writeln!(out, "download {download:.2?}  publish {publish:.2?}  crawl {crawl:.2?}")?;
    }
    let (download, publish) = (median(&mut to_download), median(&mut to_publish));
    writeln!(std::io::stdout(), "median ratios: crawl/download {download:.2}, crawl/publish {publish:.2}")?;
    Ok(())
}

fn median(ratios: &mut [f64]) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Downloads the pages that a crawl would ask for, each connection a run of them, and looks at none.
async fn download(arguments: &Arguments, api: &MockServer, ids: &[String]) -> Result<Duration> {
    let before = api.requests().len();
    let client = reqwest::Client::builder().build()?;
    let starts: Vec<&str> = std::iter::once("")
        .chain(ids.chunks(arguments.page_size).filter_map(|page| page.last()).map(String::as_str))
        .collect();
    let share = starts.len().div_ceil(arguments.concurrency);
    let connection = |starts: &'_ [&str]| {
        let (client, url, limit) = (client.clone(), api.url(), arguments.page_size.to_string());
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
    span(&api.requests()[before..])
}

async fn crawl(arguments: &Arguments, api: &MockServer, world: &World) -> Result<Duration> {
    let before = api.requests().len();
    let program = world.crawl(api)?.args(["--page-size", &arguments.page_size.to_string()]);
    let program = program.args(["--concurrency", &arguments.concurrency.to_string()]);
    let summary = program.succeed().await?.summary()?;
    ensure!(summary["published"]["datasets"] == arguments.assets, "{summary}");
    span(&api.requests()[before..])
}

/// Publishes the objects as the producer's settings have it, into the topic that the crawl made. The median
/// transaction counts for each, for this client's commit waits 100 ms in some, and the producer's doesn't.
async fn publish(arguments: &Arguments, world: &World, objects: &[Bytes]) -> Result<Duration> {
    let mut config = world.kafka();
    config.set("transactional.id", world.topic("floor")).set("acks", "all").set("linger.ms", "0");
    config.set("compression.codec", "lz4").set("message.max.bytes", "8388608");
    let producer: FutureProducer = config.create()?;
    block_in_place(|| producer.init_transactions(Duration::from_secs(30)))?;
    let topic = world.topic("datasets");
    let mut took = Vec::new();
    for page in objects.chunks(arguments.page_size) {
        let begun = Instant::now();
        producer.begin_transaction()?;
        let send = |(partition, object): (i32, &Bytes)| {
            let key = format!("us/data.portal.example/{partition:09}");
            let record = FutureRecord::to(&topic).partition(partition % 2).key(&key).payload(object.as_ref());
            producer.send_result(record.headers(headers())).map_err(|(error, _)| error)
        };
        let sent: Vec<_> = (0..).zip(page).map(send).collect::<Result<_, _>>()?;
        for delivered in try_join_all(sent).await? {
            delivered.map_err(|(error, _)| error)?;
        }
        block_in_place(|| producer.commit_transaction(Duration::from_secs(30)))?;
        took.push(begun.elapsed());
    }
    took.sort();
    Ok(took[took.len() / 2] * u32::try_from(took.len())?)
}

/// As many as a record's, and as long.
fn headers() -> OwnedHeaders {
    let version = Version { run: 1, page: 1 };
    let (content, observed_at) = (Content::Record(RecordType::Datasets), OffsetDateTime::UNIX_EPOCH);
    Stamp { content, region: Region::Us, version, observed_at }.to_headers()
}

/// From the first request for a page to the last.
fn span(asked: &[Asked]) -> Result<Duration> {
    let mut pages = asked.iter().filter(|asked| asked.is_page()).map(|asked| asked.at);
    let first = pages.next().context("no page was asked for")?;
    Ok(pages.max().unwrap_or(first).duration_since(first))
}
