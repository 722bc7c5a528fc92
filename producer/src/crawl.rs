//! A crawl: claims the region, publishes `/domains`, then pages of all lanes, then the markers.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use catalog_shared::cursor::{Mode, Shape};
use catalog_shared::exit::Stop;
use catalog_shared::record::Kind;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::claim::Claim;
use crate::cli::CrawlArgs;
use crate::discover::Discovery;
use crate::idspace;
use crate::lane::{Fetched, Lanes};
use crate::plan::{Asked, plan};
use crate::progress::Progress;
use crate::publish::Publisher;
use crate::screen::Screen;
use crate::summary::Summary;
use crate::tally::Tally;
use crate::{state, topics, watch};

/// How often a claim is made when another producer goes on between its opening and its commit.
const CLAIMS: usize = 5;
/// How often the ends of lanes are asked for again when another lane has seen an id behind them.
const ROUNDS: usize = 3;

/// Crawls a region to its end, or until `shutdown`; the pages in hand are published then.
///
/// # Errors
/// [`catalog_shared::exit::Stop`] for what has an exit code of its own; else what went wrong.
pub async fn run(args: CrawlArgs, screen: &Screen, shutdown: CancellationToken) -> anyhow::Result<()> {
    args.kafka.announce()?;
    let started = Instant::now();
    let tally = Arc::new(Tally::default());
    let url = args.api_url()?;
    let asked = asked(&args, &url);
    let discovery = Discovery::new(&args, url, Arc::clone(&tally))?;
    let mut publisher = claim(&args, &asked).await?;
    let span = tracing::info_span!("crawl", region = %args.region, run = publisher.cursor().run);
    let lanes = usize::from(args.concurrency);
    let progress = span.in_scope(|| Progress::start(screen, lanes, publisher.cursor(), &tally));
    let whole = crawl(&args, discovery, &mut publisher, &progress, &shutdown).instrument(span).await;
    // The bars make room for the summary, or for the error.
    progress.end().await;
    let whole = whole?;
    Summary::new(publisher.cursor(), whole, &tally, started.elapsed()).print(args.json)
}

fn asked(args: &CrawlArgs, url: &reqwest::Url) -> Asked {
    let wanted = |kind: &Kind| args.datasets || *kind != Kind::Datasets;
    let shape = Shape {
        mode: Mode::Full,
        kinds: Kind::ALL.into_iter().filter(wanted).collect(),
        api_url: url.to_string(),
        since: None,
        limit: None,
        domains: Vec::new(),
        from: None,
    };
    Asked { region: args.region, shape, restart: args.restart, first_run: args.first_run }
}

/// Claims the region, before anything is fetched. Looks at the cursor once before that, for a command
/// line that can't be followed must not fence a producer that is doing well.
async fn claim(args: &CrawlArgs, asked: &Asked) -> anyhow::Result<Publisher> {
    let names = args.kafka.topics();
    let partitions = topics::ensure(&args.kafka, &names, args.partitions).await?;
    let owner = uuid::Uuid::new_v4().to_string();
    let last = state::read(&args.kafka, &names, args.region).await?;
    plan(asked, last)?.claim(asked, &owner, &partitions)?;
    for _ in 0..CLAIMS {
        let (mut claim, last) = Claim::open(&args.kafka, args.region).await?;
        let mut cursor = plan(asked, last)?.claim(asked, &owner, &partitions)?;
        cursor.pending = idspace::cut(cursor.pending, usize::from(args.concurrency));
        if claim.establish(&cursor).await? {
            tracing::info!(region = %args.region, run = cursor.run, page = cursor.next_page, "crawling");
            return Ok(Publisher::new(claim, names, cursor));
        }
        tracing::info!(region = %args.region, "another producer went on meanwhile; claiming the region again");
    }
    bail!(Stop::Guard(format!("another producer of region {} keeps taking over", args.region)))
}

/// Publishes what is missing of the run; tells whether it is whole now.
async fn crawl(
    args: &CrawlArgs,
    discovery: Discovery,
    publisher: &mut Publisher,
    progress: &Progress,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    if publisher.cursor().next_page == 0 {
        let Some(declared) = shutdown.run_until_cancelled(discovery.domains()).await else {
            return Ok(false);
        };
        publisher.domains(declared.context("can't get the list of domains")?).await?;
        progress.published(publisher.cursor());
    }
    let cursor = publisher.cursor();
    let declares_assets = cursor.declared.values().any(|count| *count > 0);
    let lanes = Arc::new(Lanes::new(discovery, args.page_size, cursor.max_id.clone(), declares_assets));
    for _ in 0..ROUNDS {
        publish_lanes(args, &lanes, publisher, progress, shutdown).await?;
        if shutdown.is_cancelled() {
            return Ok(false);
        }
        let open = |after: &String| lanes.has_seen_behind(after);
        if !publisher.cursor().pending.iter().any(|interval| open(&interval.after)) {
            publisher.end().await?;
            return Ok(true);
        }
    }
    bail!("the API keeps answering that nothing is left where it has shown larger ids before")
}

/// Runs lanes over all that is pending and publishes their pages until the last lane ends.
async fn publish_lanes(
    args: &CrawlArgs,
    lanes: &Arc<Lanes>,
    publisher: &mut Publisher,
    progress: &Progress,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    lanes.queue(publisher.cursor().pending.clone());
    // Dropped, and so cancelled, however this function ends.
    let stop = shutdown.child_token();
    let _stop_lanes = stop.clone().drop_guard();
    let (pages, mut fetched) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    for lane in 0..usize::from(args.concurrency) {
        let task = lane_task(Arc::clone(lanes), lane, pages.clone(), stop.clone());
        tasks.spawn(watch::lane(progress.lane(lane), task).in_current_span());
    }
    drop(pages);
    while let Some(page) = fetched.recv().await {
        publisher.page(page).await?;
        progress.published(publisher.cursor());
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// A lane that stops with the others.
async fn lane_task(
    lanes: Arc<Lanes>,
    lane: usize,
    pages: mpsc::Sender<Fetched>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ended = stop.run_until_cancelled(lanes.crawl(lane, pages)).await.unwrap_or(Ok(()));
    if ended.is_err() {
        stop.cancel();
    }
    ended
}
