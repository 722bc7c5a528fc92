//! Orchestrates a crawl: claims the region, publishes `/domains`, then the pages of all lanes, then the end-of-run
//! records.

pub(crate) mod answer;
pub(crate) mod bisect;
pub(crate) mod domains;
pub(crate) mod lane;
pub(crate) mod listing;
pub(crate) mod next_page;
pub(crate) mod notify;
pub(crate) mod open;
pub(crate) mod page_size;
pub(crate) mod scheduled;
pub(crate) mod skip;
pub(crate) mod stopped;
pub(crate) mod waiting;

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use catalog_shared::cursor::Cursor;
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::rights;
use catalog_shared::terminal::Terminal;
use reqwest::Url;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::{Discovery, proxy};
use crate::config::CrawlArgs;
use crate::crawl::lane::Lanes;
use crate::crawl::listing::Listed;
use crate::crawl::notify::Notifier;
use crate::crawl::open::open;
use crate::crawl::page_size::PageSize;
use crate::crawl::scheduled::Scheduler;
use crate::model::domains::Domains;
use crate::progress::counters::Counters;
use crate::progress::display::{Display, Total};
use crate::progress::monitor::Monitor;
use crate::publish::Publisher;
use crate::report::summary::{End, Summary};
use crate::run::lane_page::LanePage;
use crate::run::lifecycle;
use crate::run::request::CrawlRequest;

/// A crawl hangs if no request has ended for this much longer than a request may take with all its retries.
const STALL_MARGIN: Duration = Duration::from_secs(60);
/// How often the ends of intervals are requested again if another lane has seen a larger id.
const MAX_ROUNDS: usize = 3;

/// Crawls a region once, or at each slot of its schedule until `shutdown`.
///
/// # Errors
/// [`catalog_shared::exit::Stop`] for errors with their own exit code, otherwise the cause.
pub(crate) async fn run(
    args: CrawlArgs,
    terminal: &Terminal,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    args.kafka.log_config()?;
    let url = args.api.url()?;
    let request = CrawlRequest::new(&args, &url)?;
    let scheduler = Scheduler::new(&args)?;
    let stall_timeout = args.retry_for + args.timeout + STALL_MARGIN;
    let mut monitor = Monitor::new(args.api.region, stall_timeout, &shutdown);
    if let Some(scheduler) = &scheduler {
        monitor = monitor.with_schedule(scheduler.state());
    }
    let notifier = Notifier::new(&args, &shutdown)?;
    let _monitoring = monitor.start(&args.monitoring)?;
    let crawler = Crawler { args, url, terminal, monitor, notifier, shutdown };
    match scheduler {
        Some(scheduler) => scheduler.run(&crawler, &request).await,
        None => crawler.crawl(&request).await,
    }
}

/// What all crawls of a process have in common.
struct Crawler<'a> {
    args: CrawlArgs,
    url: Url,
    terminal: &'a Terminal,
    monitor: Monitor,
    notifier: Notifier,
    shutdown: CancellationToken,
}

impl Crawler<'_> {
    /// Crawls to the end of a run, or until the shutdown. Pages in flight are then still published. Prints the summary.
    ///
    /// # Errors
    /// As [`run`].
    async fn crawl(&self, request: &CrawlRequest) -> anyhow::Result<()> {
        let Self { args, terminal, monitor, shutdown, .. } = self;
        let counters = Arc::new(Counters::default());
        monitor.begin_crawl(&counters);
        let mut domains = None;
        let opened = rights::named(self.open(request, &counters, &mut domains).await);
        let Ok(Some((discovery, mut publisher))) = opened else {
            let error = opened.err();
            self.notifier.crawl_failed(None, error.as_ref()).await;
            return Err(stopped::before_claim(args, request.clone(), &counters, error));
        };
        self.notifier.started();
        publisher.count_with(&counters, monitor.clone());
        let span = tracing::info_span!("crawl", region = %args.api.region, run = publisher.cursor().run);
        let display = span.in_scope(|| Display::start(terminal, total(publisher.cursor()), &counters));
        let crawl = crawl(args, discovery, domains, &mut publisher, &display, shutdown).instrument(span);
        let is_complete = rights::named(stopped::with_shutdown_timeout(crawl, shutdown).await);
        // Before the summary is printed.
        display.end();
        self.settle(&mut publisher, &is_complete).await;
        report(args, &publisher, is_complete, &counters)
    }

    /// Opens the run to crawl, with a client of the API. Returns none if the shutdown came first.
    async fn open(
        &self,
        request: &CrawlRequest,
        counters: &Arc<Counters>,
        domains: &mut Option<Domains>,
    ) -> anyhow::Result<Option<(Discovery, Publisher)>> {
        let Self { args, url, shutdown, .. } = self;
        proxy::check(url).await?;
        let discovery = Discovery::new(args, url.clone(), Arc::clone(counters))?;
        let publisher = open(args, request, (&discovery, counters), domains, shutdown).await?;
        Ok(publisher.map(|publisher| (discovery, publisher)))
    }

    /// Notifies the webhook of a failure, and records in the cursor why an incomplete crawl stopped.
    async fn settle(&self, publisher: &mut Publisher, is_complete: &anyhow::Result<bool>) {
        if matches!(is_complete, Ok(true)) {
            self.notifier.crawl_succeeded();
            return;
        }
        let error = is_complete.as_ref().err();
        let is_notified = self.notifier.crawl_failed(Some(publisher.cursor()), error).await;
        stopped::record(publisher, error, is_notified).await;
    }
}

/// Prints the summary.
fn report(
    args: &CrawlArgs,
    publisher: &Publisher,
    is_complete: anyhow::Result<bool>,
    counters: &Counters,
) -> anyhow::Result<()> {
    let summary = |end| Summary::new(args, publisher.cursor(), end, counters);
    match is_complete {
        Ok(true) => summary(End::Complete).print(args.json),
        Ok(false) => {
            let error = Stop::Interrupted(stopped::interrupted(args, publisher.cursor().run));
            Err(summary(End::Interrupted).print_failure(args.json, error.into()))
        }
        Err(error) => Err(summary(End::Failed).print_failure(args.json, error)),
    }
}

/// The progress that a cursor shows.
fn total(cursor: &Cursor) -> Total {
    let expected = lifecycle::expected_objects(cursor);
    Total { pages: cursor.next_page, objects: cursor.objects, expected }
}

/// Publishes the rest of the run. Returns whether the run is complete.
async fn crawl(
    args: &CrawlArgs,
    discovery: Discovery,
    domains: Option<Domains>,
    publisher: &mut Publisher,
    display: &Display,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    if publisher.cursor().next_page == 0 {
        if !domains::publish(&discovery, domains, publisher, shutdown).await? {
            return Ok(false);
        }
        display.update(total(publisher.cursor()));
    }
    if let Some(from) = lifecycle::listed_since(publisher.cursor()) {
        match listing::publish(&discovery, args.page_size, from, publisher, display, shutdown).await? {
            Listed::Interrupted => return Ok(false),
            Listed::Complete => return publisher.end().await.map(|()| true),
            Listed::Incomplete(reason) => tracing::warn!(
                event = events::LISTING_INCOMPLETE,
                reason,
                "crawling the whole catalog instead"
            ),
        }
        publisher.split(usize::from(args.concurrency)).await?;
    }
    scroll(args, discovery, publisher, display, shutdown).await
}

/// Crawls all pending intervals and ends the run. Returns whether the run is complete.
async fn scroll(
    args: &CrawlArgs,
    discovery: Discovery,
    publisher: &mut Publisher,
    display: &Display,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let cursor = publisher.cursor();
    let (max_id, declares_assets) = (cursor.max_id.clone(), lifecycle::declared(cursor) > 0);
    let lanes = Arc::new(Lanes::new(discovery, page_size(args, publisher), max_id, declares_assets));
    for _ in 0..MAX_ROUNDS {
        publish_lanes(args, &lanes, publisher, display, shutdown).await?;
        if shutdown.is_cancelled() {
            return Ok(false);
        }
        if publisher.cursor().pending.iter().any(|interval| lanes.has_seen_after(&interval.after)) {
            continue;
        }
        lifecycle::check_seen(publisher.cursor())?;
        return publisher.end().await.map(|()| true);
    }
    bail!("the API repeatedly returns no objects after ids where it has returned larger ids before")
}

/// The first page size: what a limit still takes, plus one, because the last id of a page is left to the next one.
fn page_size(args: &CrawlArgs, publisher: &Publisher) -> PageSize {
    let remaining =
        lifecycle::remaining(publisher.cursor()).and_then(|count| u16::try_from(count).ok()?.checked_add(1));
    PageSize::new(args.page_size, remaining.unwrap_or(u16::MAX))
}

/// Runs lanes over the pending intervals and publishes their pages until the last lane ends.
async fn publish_lanes(
    args: &CrawlArgs,
    lanes: &Arc<Lanes>,
    publisher: &mut Publisher,
    display: &Display,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    lanes.queue(publisher.cursor().pending.clone());
    // Dropped, and so cancelled, however this function ends.
    let stop = shutdown.child_token();
    let _stop_lanes = stop.clone().drop_guard();
    let count = usize::from(args.concurrency);
    // A lane takes a place before it requests a page, so this bounds all pages that are not being published. One lane
    // also fetches the next page while one waits.
    let (sender, mut pages) = mpsc::channel(count.max(2));
    let mut tasks = JoinSet::new();
    for lane in 0..count {
        let task = run_lane(Arc::clone(lanes), lane, sender.clone(), stop.clone());
        tasks.spawn(task.in_current_span());
    }
    drop(sender);
    while let Some(waiting) = waiting::take(&mut pages).await {
        publisher.lane_pages(waiting).await?;
        display.update(total(publisher.cursor()));
        if lifecycle::remaining(publisher.cursor()) == Some(0) {
            stop.cancel();
            break;
        }
    }
    // So that no lane waits for the receiver.
    drop(pages);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Runs one lane. If it fails, it stops the others.
async fn run_lane(
    lanes: Arc<Lanes>,
    lane: usize,
    pages: mpsc::Sender<LanePage>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ended = lanes.crawl(lane, pages, &stop).await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}
