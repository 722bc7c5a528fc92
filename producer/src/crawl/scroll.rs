//! Crawls the catalog in the order of ids, in lanes.

use std::sync::Arc;

use anyhow::bail;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::Discovery;
use crate::config::CrawlArgs;
use crate::crawl::batching;
use crate::crawl::lane::Lanes;
use crate::crawl::page_size::PageSize;
use crate::crawl::totals::total;
use crate::progress::display::Display;
use crate::publish::Publisher;
use crate::run::lane_page::LanePage;
use crate::run::lifecycle;

/// How often the ends of intervals are requested again if another lane has seen a larger id.
const MAX_ROUNDS: usize = 3;

/// Crawls all pending intervals and ends the run. Returns whether the run is complete.
pub(super) async fn scroll(
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
    while let Some(waiting) = batching::receive_transaction(&mut pages).await {
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
    let ended = lanes.crawl_lane(lane, pages, &stop).await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}
