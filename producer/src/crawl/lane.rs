//! Lanes crawl intervals of ids concurrently, page by page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use catalog_shared::cursor::Interval;
use catalog_shared::events;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::error::{ApiError, Failed};
use crate::api::{Discovery, PageRequest};
use crate::crawl::bisect::Bisection;
use crate::crawl::next_page::{MAX_LIMIT, NextPage};
use crate::crawl::page_outcome::PageOutcome;
use crate::crawl::page_size::PageSize;
use crate::crawl::skip::{self, Unreadable};
use crate::model::page::Page;
use crate::run::lane_page::LanePage;

/// The state that all lanes of a crawl share.
pub(crate) struct Lanes {
    discovery: Discovery,
    /// The page size that a lane starts with.
    size: PageSize,
    queue: Mutex<VecDeque<Interval>>,
    max_id: Mutex<Option<String>>,
    /// Whether `/domains` declares any assets for the domains of the run.
    declares_assets: bool,
}

/// The state of one lane.
struct Lane {
    size: PageSize,
    /// How many objects it has skipped since its last readable page.
    skipped: u32,
}

impl Lanes {
    /// Lanes that start with pages of this size. `max_id` is the largest id that the run has seen.
    pub(crate) fn new(
        discovery: Discovery,
        size: PageSize,
        max_id: Option<String>,
        declares_assets: bool,
    ) -> Self {
        Self { discovery, size, queue: Mutex::default(), max_id: Mutex::new(max_id), declares_assets }
    }

    /// Queues intervals for the lanes.
    pub(crate) fn queue(&self, intervals: Vec<Interval>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(intervals);
    }

    /// Crawls intervals until the queue is empty. Takes a place in the channel before each page, so a received page never
    /// waits outside it. Ends early if the receiver of the pages is gone, and at `stop`: a request in flight is then
    /// cancelled, but not a page that was received.
    pub(crate) async fn crawl_lane(
        &self,
        lane: usize,
        pages: Sender<LanePage>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut state = Lane { size: self.size, skipped: 0 };
        while let Some(interval) = self.next_interval() {
            let span = tracing::info_span!("lane", lane, until = interval.until.as_deref());
            self.crawl_interval(interval, &mut state, &pages, stop).instrument(span).await?;
        }
        Ok(())
    }

    fn next_interval(&self) -> Option<Interval> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// An interval ends at an id beyond it or at a page without a further id. A short page is not the end, because the
    /// API drops documents that it can't read. An interval that ended without a further id stays pending until no lane
    /// has seen a larger id.
    async fn crawl_interval(
        &self,
        interval: Interval,
        lane: &mut Lane,
        pages: &Sender<LanePage>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut after = interval.after.clone();
        loop {
            let Some(Ok(place)) = stop.run_until_cancelled(pages.reserve()).await else { return Ok(()) };
            let answer = self.answer(&interval, &after, lane);
            let Some(answer) = stop.run_until_cancelled(answer).await else { return Ok(()) };
            let next = answer?.within(&interval, &after);
            let Some(page) = next.page else { return Ok(()) };
            let covered_to = page.next().map(str::to_owned);
            place.send(page);
            tracing::debug!(event = events::PAGE_RECEIVED, page.from = after, "page received");
            match covered_to {
                Some(id) if !next.is_end => after = id,
                _ => return Ok(()),
            }
        }
    }

    /// Requests the page after an id. If the answer is incomplete, requests half the size, down to one object.
    async fn answer(&self, interval: &Interval, after: &str, lane: &mut Lane) -> anyhow::Result<PageOutcome> {
        let mut next = NextPage::new(&lane.size, interval);
        loop {
            let request = next.request();
            match self.discovery.page(after, request, |page| self.check(after, &next, page)).await {
                Ok(page) => {
                    if let Some(answer) = next.received(page) {
                        lane.size.succeeded(request.size);
                        lane.skipped = 0;
                        return Ok(answer);
                    }
                }
                Err(error) if request.can_shrink && error.incomplete_head().is_some() => {
                    lane.size.failed(request.size);
                    next.failed();
                }
                Err(error) => return self.skip(interval, after, next.into_partial(), error, lane).await,
            }
        }
    }

    /// Skips the unreadable object that follows `partial`, or ends the lane with an error.
    async fn skip(
        &self,
        interval: &Interval,
        after: &str,
        partial: Page,
        error: Failed,
        lane: &mut Lane,
    ) -> anyhow::Result<PageOutcome> {
        let before: Vec<&str> = partial.ids().collect();
        let unreadable = match skip::identify(after, &before, &error, lane.skipped) {
            Ok(unreadable) => unreadable,
            Err(reason) => {
                let until = interval.until.as_deref().unwrap_or("the end");
                return Err(error).with_context(|| {
                    format!("can't read the objects after id {after:?} (lane up to {until}{reason})")
                });
            }
        };
        let answer = match unreadable {
            Unreadable::LaterId => {
                lane.skipped = 0;
                return Ok(PageOutcome::OneId(partial));
            }
            Unreadable::Id(id) => PageOutcome::UnreadableId(id, partial),
            Unreadable::NoId => self.skip_range(interval, after, partial).await?,
        };
        self.log_skipped(&answer, after, error);
        lane.skipped += 1;
        Ok(answer)
    }

    fn log_skipped(&self, answer: &PageOutcome, after: &str, error: Failed) {
        let error = format!("{:#}", anyhow::Error::from(error));
        match answer {
            PageOutcome::UnreadableId(id, _) => {
                self.add_seen(id);
                tracing::warn!(
                    event = events::OBJECT_SKIPPED,
                    after,
                    id,
                    error,
                    "skipping an unreadable object"
                );
            }
            PageOutcome::UnreadableRange(until, _) => {
                tracing::warn!(
                    event = events::ID_RANGE_SKIPPED,
                    after,
                    until,
                    error,
                    "skipping an unreadable range of ids"
                );
            }
            PageOutcome::Page(_) | PageOutcome::OneId(_) | PageOutcome::Last(_) => {}
        }
    }

    /// Finds the next id with a readable answer, with one request for each of about 40 ids.
    async fn skip_range(
        &self,
        interval: &Interval,
        after: &str,
        partial: Page,
    ) -> anyhow::Result<PageOutcome> {
        let from = partial.last_id().unwrap_or(after);
        if from != after && self.is_readable_after(from).await? {
            // The unreadable object has the same id as the one before it.
            return Ok(PageOutcome::UnreadableId(from.to_owned(), partial));
        }
        let search = Bisection::new(from, interval.until.as_deref());
        let mut search = search.with_context(|| format!("can't read the objects after id {from:?}"))?;
        while let Some(id) = search.next() {
            search.record(self.is_readable_after(&id).await?);
        }
        Ok(PageOutcome::UnreadableRange(search.end(), partial))
    }

    async fn is_readable_after(&self, id: &str) -> anyhow::Result<bool> {
        let request = PageRequest { size: 1, can_shrink: false, leniently: true };
        match self.discovery.page(id, request, |page| check_order(id, page).map(drop)).await {
            Ok(_) => Ok(true),
            Err(error) if error.error.is_torn() => Ok(false),
            Err(error) => Err(error).with_context(|| format!("can't read the objects after id {id:?}")),
        }
    }

    /// Checks that a page is plausible: its ids ascend from the lower bound, and it is the last one only if no lane has
    /// seen a larger id.
    fn check(&self, after: &str, next: &NextPage<'_>, page: &Page) -> Result<(), ApiError> {
        let last = check_order(after, page)?;
        if last != after {
            self.add_seen(last);
        }
        if next.is_stuck(page) {
            return Err(ApiError::NoScroll(format!(
                "{MAX_LIMIT} objects after {after:?} have fewer than two ids"
            )));
        }
        if next.is_the_end(page) { self.check_end(last) } else { Ok(()) }
    }

    /// Checks that this id can be the last one.
    fn check_end(&self, last: &str) -> Result<(), ApiError> {
        if self.has_seen_after(last) {
            return Err(ApiError::Contradiction(format!(
                "no objects after {last:?}, where an id was seen before; if these objects have been deleted since, \
                 use --restart"
            )));
        }
        if last.is_empty() && self.declares_assets {
            return Err(ApiError::Contradiction("no assets at all, but /domains declares some".to_owned()));
        }
        Ok(())
    }

    fn add_seen(&self, id: &str) {
        let mut max = self.max_id.lock().unwrap_or_else(PoisonError::into_inner);
        if max.as_deref().is_none_or(|known| known < id) {
            *max = Some(id.to_owned());
        }
    }

    /// Whether any lane has seen an id after this one.
    pub(crate) fn has_seen_after(&self, id: &str) -> bool {
        let max = self.max_id.lock().unwrap_or_else(PoisonError::into_inner);
        max.as_deref().is_some_and(|max| max > id)
    }
}

/// Checks that the ids of a page ascend from the lower bound, and returns the last one. Several objects may have the
/// same id.
fn check_order<'a>(after: &'a str, page: &'a Page) -> Result<&'a str, ApiError> {
    let mut last = after;
    for id in page.ids() {
        if id < last || id == after {
            return Err(ApiError::NoScroll(if last == after {
                format!("a request for the page after {after:?} returned {id:?}, which is on another page")
            } else {
                format!("the ids of a page are out of order: {id:?} after {last:?}")
            }));
        }
        last = id;
    }
    Ok(last)
}
