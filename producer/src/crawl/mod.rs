//! A crawl: claims the region, publishes `/domains`, then pages of all lanes, then the markers.

pub(crate) mod border;
pub(crate) mod fetched;
pub(crate) mod lane;
pub(crate) mod listing;
pub(crate) mod look;
pub(crate) mod page_zero;
pub(crate) mod salvage;
pub(crate) mod size;
pub(crate) mod stop;
pub(crate) mod stretch;
pub(crate) mod tails;

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use catalog_shared::exit::Stop;
use catalog_shared::outage::{outlast, wait_for_kafka_within};
use catalog_shared::record::Kind;
use catalog_shared::rights;
use catalog_shared::screen::Screen;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::domains::Domains;
use crate::api::{Discovery, proxy};
use crate::config::CrawlArgs;
use crate::config::scope::Start;
use crate::crawl::fetched::Fetched;
use crate::crawl::lane::Lanes;
use crate::crawl::listing::Listed;
use crate::crawl::size::PageSize;
use crate::crawl::stop::{interrupted, not_begun, note_stop};
use crate::model::idspace;
use crate::progress::counters::Tally;
use crate::progress::display::Progress;
use crate::progress::watch;
use crate::publish::Publisher;
use crate::publish::claim::Claim;
use crate::publish::hosts;
use crate::publish::sink::Sink;
use crate::report::summary::{End, Summary};
use crate::run::lifecycle;
use crate::run::plan::{Asked, Plan, plan};
use catalog_shared::cursors;
use catalog_shared::topic_setup as topics;

/// How long the publishing of the pages in hand may take once the crawl is asked to stop.
const LAST_PAGES: Duration = Duration::from_secs(10);
/// How often a claim is made when another producer goes on between its opening and its commit.
const CLAIMS: usize = 5;
/// How often the ends of lanes are asked for again when another lane has seen an id behind them.
const ROUNDS: usize = 3;

/// Crawls a region to its end, or until `shutdown`; the pages in hand are published then.
///
/// # Errors
/// [`catalog_shared::exit::Stop`] for what has an exit code of its own; else what went wrong.
pub(crate) async fn run(args: CrawlArgs, screen: &Screen, shutdown: CancellationToken) -> anyhow::Result<()> {
    args.kafka.announce()?;
    let tally = Arc::new(Tally::default());
    let url = args.api_url()?;
    let asked = asked(&args, &url)?;
    proxy::check(&url).await?;
    let discovery = Discovery::new(&args, url, Arc::clone(&tally))?;
    let mut domains = None;
    let opened = rights::named(open(&args, &asked, &discovery, &mut domains, &shutdown).await);
    let Ok(Some(mut publisher)) = opened else { return Err(not_begun(&args, asked, &tally, opened.err())) };
    let span = tracing::info_span!("crawl", region = %args.region, run = publisher.cursor().run);
    let lanes = usize::from(args.concurrency);
    let progress = span.in_scope(|| Progress::start(screen, lanes, publisher.cursor(), &tally));
    let crawl = crawl(&args, discovery, domains, &mut publisher, &progress, &shutdown).instrument(span);
    let whole = rights::named(ended_in_time(crawl, &shutdown).await);
    // The bars make room for the summary.
    progress.end();
    if !matches!(whole, Ok(true)) {
        note_stop(&mut publisher, whole.as_ref().err()).await;
    }
    let summary = |end| Summary::new(&args, publisher.cursor(), end, &tally);
    match whole {
        Ok(true) => summary(End::Whole).print(args.json),
        Ok(false) => {
            let error = Stop::Interrupted(interrupted(&args, publisher.cursor().run));
            Err(summary(End::Interrupted).print_failure(args.json, error.into()))
        }
        Err(error) => Err(summary(End::Failed).print_failure(args.json, error)),
    }
}

/// Whether a crawl is whole. One that was asked to stop has a while for the pages in hand; Kafka may be away
/// for longer, and what is left then is fetched again when the run is resumed.
async fn ended_in_time(
    crawl: impl Future<Output = anyhow::Result<bool>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let too_late = async {
        shutdown.cancelled().await;
        sleep(LAST_PAGES).await;
    };
    tokio::select! {
        whole = crawl => whole,
        () = too_late => {
            tracing::warn!("Kafka does not take the pages in hand; they are left to the next start");
            Ok(false)
        }
    }
}

fn asked(args: &CrawlArgs, url: &reqwest::Url) -> anyhow::Result<Asked> {
    let wanted = |kind: &Kind| args.datasets || *kind != Kind::Datasets;
    let shape = args.scope.shape(Kind::ALL.into_iter().filter(wanted).collect(), url.to_string());
    let (region, since, first_run) = (args.region, args.scope.start()?, args.first_run);
    // A dry run shows a run from its beginning, and so is never the rest of another.
    Ok(Asked { region, shape, since, restart: args.restart || args.dry_run, first_run })
}

/// What is published to: the region's topics, or nothing in a dry run. A broker that is away is waited for.
/// None when `shutdown` came first. What was fetched of the API meanwhile is left in `domains`.
async fn open(
    args: &CrawlArgs,
    asked: &Asked,
    discovery: &Discovery,
    domains: &mut Option<Domains>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Publisher>> {
    let opened = async {
        if args.dry_run {
            return rehearse(args, asked, discovery).await;
        }
        if let Some(limit) = args.wait_for_kafka {
            wait_for_kafka_within(&args.kafka, limit).await?;
        }
        outlast(&args.kafka, async || claim(args, asked, discovery, domains).await).await
    };
    shutdown.run_until_cancelled(opened).await.transpose()
}

/// Begins a run that nobody sees. Kafka is only asked where the run would start, if it can't be known
/// without.
async fn rehearse(args: &CrawlArgs, asked: &Asked, discovery: &Discovery) -> anyhow::Result<Publisher> {
    let names = args.kafka.topics();
    let last = match asked.since {
        Some(Start::Auto { .. }) => cursors::read_if_there(&args.kafka, &names, args.region).await?,
        _ => None,
    };
    let mut cursor = plan(asked, last)?.claim(asked, "", &topics::partitions(args.partitions))?;
    discovery.check_domains().await?;
    cursor.pending = idspace::cut(cursor.pending.clone(), lifecycle::lanes(&cursor, args.concurrency));
    tracing::info!(region = %args.region, "crawling without publishing");
    Ok(Publisher::new(Sink::Nowhere, names, cursor))
}

/// Claims the region, before any asset is fetched. Reads the cursor once before that, because a command line that
/// can't be followed must neither fence a producer that is doing well nor create topics, and an API that can't be
/// crawled must not leave a run behind.
async fn claim(
    args: &CrawlArgs,
    asked: &Asked,
    discovery: &Discovery,
    domains: &mut Option<Domains>,
) -> anyhow::Result<Publisher> {
    let names = args.kafka.topics();
    let planned = plan(asked, cursors::read_if_there(&args.kafka, &names, args.region).await?)?;
    let partitions = topics::ensure(&args.kafka, &names, args.partitions).await?;
    let owner = uuid::Uuid::new_v4().to_string();
    let begins = matches!(planned, Plan::Begin { .. });
    planned.claim(asked, &owner, &partitions)?;
    if begins && domains.is_none() {
        *domains = Some(page_zero::fetch_first(discovery).await?);
    }
    for _ in 0..CLAIMS {
        let (mut claim, found) = Claim::open(&args.kafka, args.region).await?;
        let asked = found.undecided.map_or_else(|| asked.clone(), |undecided| asked.passing_over(&undecided));
        let mut cursor = plan(&asked, found.last)?.claim(&asked, &owner, &partitions)?;
        cursor.pending = idspace::cut(cursor.pending.clone(), lifecycle::lanes(&cursor, args.concurrency));
        if claim.establish(&cursor).await? {
            tracing::info!(region = %args.region, run = cursor.run, page = cursor.next_page, "crawling");
            let hosts = hosts::published(&args.kafka, &names, &cursor).await?;
            return Ok(Publisher::new(Sink::Kafka(Box::new(claim)), names, cursor).knowing(hosts));
        }
        tracing::info!(region = %args.region, "another producer went on meanwhile; claiming the region again");
    }
    bail!(Stop::Guard(format!("another producer of region {} keeps taking over", args.region)))
}

/// Publishes what is missing of the run; tells whether it is whole now.
async fn crawl(
    args: &CrawlArgs,
    discovery: Discovery,
    domains: Option<Domains>,
    publisher: &mut Publisher,
    progress: &Progress,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    if publisher.cursor().next_page == 0 {
        if !page_zero::publish(&discovery, domains, publisher, shutdown).await? {
            return Ok(false);
        }
        progress.published(publisher.cursor());
    }
    if let Some(from) = listing::listing(publisher.cursor()) {
        let listing = listing::publish(&discovery, args.page_size, from, publisher, progress, shutdown);
        match watch::lane(progress.lane(0), listing).await? {
            Listed::Interrupted => return Ok(false),
            Listed::Whole => return publisher.end().await.map(|()| true),
            Listed::Short(reason) => tracing::warn!(reason, "crawling the whole catalog instead"),
        }
        publisher.cut(usize::from(args.concurrency)).await?;
    }
    let cursor = publisher.cursor();
    let (max_id, declares_assets) = (cursor.max_id.clone(), lifecycle::declared(cursor) > 0);
    let lanes = Arc::new(Lanes::new(discovery, page_size(args, publisher), max_id, declares_assets));
    for _ in 0..ROUNDS {
        publish_lanes(args, &lanes, publisher, progress, shutdown).await?;
        if shutdown.is_cancelled() {
            return Ok(false);
        }
        let pending = &publisher.cursor().pending;
        if pending.iter().any(|interval| lanes.has_seen_behind(&interval.after)) {
            continue;
        }
        if let Some(tail) = lanes.tails.of_all(pending) {
            publisher.tail(tail).await?;
        }
        lifecycle::check_seen(publisher.cursor())?;
        return publisher.end().await.map(|()| true);
    }
    bail!("the API keeps answering that nothing is left where it has shown larger ids before")
}

/// Begins with no more assets than a limit leaves, and one more, because the last id of a page is kept back.
fn page_size(args: &CrawlArgs, publisher: &Publisher) -> PageSize {
    let left = publisher.left().and_then(|left| u16::try_from(left).ok()?.checked_add(1));
    PageSize::new(args.page_size, left.unwrap_or(u16::MAX))
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
        if publisher.left() == Some(0) {
            stop.cancel();
            break;
        }
    }
    // A lane with a page that nobody takes any more is not to wait for it.
    drop(fetched);
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
    let ended = lanes.crawl(lane, pages, &stop).await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}
