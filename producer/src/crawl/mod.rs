//! Orchestrates a crawl: claims the region, publishes `/domains`, then the pages of all lanes, then the end-of-run
//! records.

pub(crate) mod batching;
pub(crate) mod bisect;
pub(crate) mod domains;
pub(crate) mod lane;
pub(crate) mod listing;
pub(crate) mod next_page;
pub(crate) mod notify;
pub(crate) mod open;
pub(crate) mod page_outcome;
pub(crate) mod page_size;
pub(crate) mod scheduled;
pub(crate) mod scroll;
pub(crate) mod skip;
pub(crate) mod stopped;
pub(crate) mod totals;

use std::sync::Arc;
use std::time::Duration;

use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::rights;
use catalog_shared::terminal::Terminal;
use reqwest::Url;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::{Discovery, proxy};
use crate::config::CrawlArgs;
use crate::crawl::listing::Listed;
use crate::crawl::notify::Notifier;
use crate::crawl::open::{Opened, open};
use crate::crawl::scheduled::Scheduler;
use crate::crawl::totals::total;
use crate::model::domains::Domains;
use crate::progress::counters::Counters;
use crate::progress::display::Display;
use crate::progress::monitor::Monitor;
use crate::publish::Publisher;
use crate::report::summary::{End, Summary};
use crate::run::lifecycle;
use crate::run::request::CrawlRequest;

/// A crawl hangs if it has received nothing for this much longer than its waits between two requests may take.
const STALL_MARGIN: Duration = Duration::from_secs(60);

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
    let mut monitor = Monitor::new(args.api.region, stall_timeout(&args), &shutdown);
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

/// How long a crawl that works may receive nothing: a pause that the API asks for or that follows an error, then the pause of the
/// rate limiter, then a request without data. All lanes share the limiter, so its pause does not depend on their number.
fn stall_timeout(args: &CrawlArgs) -> Duration {
    args.retry_for + args.api.rate.period() + args.timeout + STALL_MARGIN
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
    /// Same as [`run`].
    async fn crawl(&self, request: &CrawlRequest) -> anyhow::Result<()> {
        let Self { args, terminal, monitor, shutdown, .. } = self;
        let counters = Arc::new(Counters::default());
        monitor.begin_crawl(&counters);
        let opened = rights::named(self.open(request, &counters).await);
        let Ok(Some((discovery, Opened { mut publisher, domains }))) = opened else {
            let error = opened.err();
            self.notifier.crawl_failed(None, error.as_ref()).await;
            return Err(stopped::before_claim(args, request.clone(), &counters, error));
        };
        self.notifier.started();
        publisher.count_with(&counters, monitor.clone());
        let span = tracing::info_span!("crawl", region = %args.api.region, run = publisher.cursor().run);
        let display = span.in_scope(|| Display::start(terminal, total(publisher.cursor()), &counters));
        let rest = publish_rest_of_run(args, discovery, domains, &mut publisher, &display, shutdown);
        let rest = stopped::with_shutdown_timeout(rest.instrument(span), shutdown);
        let is_complete = rights::named(rest.await);
        // Before the summary is printed.
        display.end();
        self.record_failure(&mut publisher, &is_complete).await;
        report(args, &publisher, is_complete, &counters)
    }

    /// Opens the run to crawl, with a client of the API. Returns `None` if the shutdown came first.
    async fn open(
        &self,
        request: &CrawlRequest,
        counters: &Arc<Counters>,
    ) -> anyhow::Result<Option<(Discovery, Opened)>> {
        let Self { args, url, shutdown, .. } = self;
        proxy::check(url).await?;
        let discovery = Discovery::new(args, url.clone(), Arc::clone(counters))?;
        let opened = open(args, request, &discovery, shutdown).await?;
        Ok(opened.map(|opened| (discovery, opened)))
    }

    /// Notifies the webhook of a failure, and records in the cursor why an incomplete crawl stopped.
    async fn record_failure(&self, publisher: &mut Publisher, is_complete: &anyhow::Result<bool>) {
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

/// Publishes the rest of the run. Returns whether the run is complete.
async fn publish_rest_of_run(
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
    scroll::scroll(args, discovery, publisher, display, shutdown).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::crawl::tests::parse;

    #[test]
    fn the_stall_timeout_exceeds_every_regular_pause_of_a_crawl() {
        let seconds = |flags: &[&str]| stall_timeout(&parse(flags)).as_secs();
        assert_eq!(seconds(&[]), 600 + 30 + 60);
        assert_eq!(seconds(&["--rate", "none", "--retry-for", "1h"]), 3_600 + 30 + 60);
        assert_eq!(seconds(&["--rate", "0.001"]), 600 + 1_000 + 30 + 60);
        assert_eq!(
            seconds(&["--rate", "0.005", "--retry-for", "1m", "--timeout", "5m"]),
            60 + 200 + 300 + 60
        );
    }
}
