//! Lanes: each crawls intervals of the id space, page by page, side by side with the others.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use catalog_shared::cursor::Interval;
use tokio::sync::mpsc::Sender;
use tracing::Instrument;

use crate::discover::{ApiError, Discovery};
use crate::page::{Object, Page};
use crate::watch;

/// A page of one interval, and how far it takes it.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The interval's lower bound before this page; it tells which interval is meant.
    pub(crate) from: String,
    /// How far the interval is covered once the page is published.
    pub(crate) covered: Covered,
    /// The page, without objects behind the interval.
    pub(crate) page: Page,
}

/// How far an interval is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Up to this id.
    UpTo(String),
    /// To its end.
    Whole,
}

/// What the lanes of a crawl share.
pub(crate) struct Lanes {
    pub(crate) discovery: Discovery,
    pub(crate) page_size: u16,
    queue: Mutex<VecDeque<Interval>>,
    max_id: Mutex<Option<String>>,
}

impl Lanes {
    /// Lanes over `pending`, where `max_id` is the largest id that the run has seen.
    pub(crate) fn new(discovery: Discovery, page_size: u16, max_id: Option<String>) -> Self {
        Self { discovery, page_size, queue: Mutex::default(), max_id: Mutex::new(max_id) }
    }

    /// Queues intervals for the lanes to take.
    pub(crate) fn queue(&self, intervals: Vec<Interval>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(intervals);
    }

    /// Crawls intervals until the queue is empty. Ends early when nobody takes the pages any more.
    pub(crate) async fn crawl(&self, lane: usize, pages: Sender<Fetched>) -> anyhow::Result<()> {
        while let Some(interval) = self.next_interval() {
            let span = tracing::info_span!("lane", lane, until = interval.until.as_deref());
            self.crawl_interval(interval, &pages).instrument(span).await?;
        }
        Ok(())
    }

    fn next_interval(&self) -> Option<Interval> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The end of an interval is an id behind it or an empty page, never a short one: the API drops
    /// documents that it can't read. An interval whose end was an empty page stays pending: the crawl
    /// takes it as covered once no lane has seen a larger id.
    async fn crawl_interval(&self, interval: Interval, pages: &Sender<Fetched>) -> anyhow::Result<()> {
        let mut after = interval.after.clone();
        loop {
            let mut page = self.fetch(&after).await?;
            if page.objects.is_empty() {
                // An empty answer is believed when it comes twice.
                page = self.fetch(&after).await?;
            }
            let Some(last) = page.last_id().map(str::to_owned) else {
                watch::finished();
                return Ok(());
            };
            let done = interval.ends_before(&last) || interval.until.as_ref() == Some(&last);
            let is_behind = |object: &Object| object.id.as_deref().is_some_and(|id| interval.ends_before(id));
            let within = page.objects.iter().position(is_behind).unwrap_or(page.objects.len());
            page.objects.truncate(within);
            watch::reached(&interval, &last, within);
            let covered = if done { Covered::Whole } else { Covered::UpTo(last.clone()) };
            if pages.send(Fetched { from: after, covered, page }).await.is_err() || done {
                return Ok(());
            }
            after = last;
        }
    }

    async fn fetch(&self, after: &str) -> anyhow::Result<Page> {
        let check = |page: &Page| self.check(after, page);
        let page = self.discovery.page(after, self.page_size, check).await;
        page.with_context(|| format!("can't get the page behind the id {after:?}"))
    }

    /// Whether a page can be true: ids ascend from the lower bound, and nothing behind it only where no
    /// larger id was seen.
    fn check(&self, after: &str, page: &Page) -> Result<(), ApiError> {
        let mut last = after;
        for id in page.objects.iter().filter_map(|object| object.id.as_deref()) {
            if id <= last {
                return Err(ApiError::NoScroll(format!("the id {id} came behind {last:?}")));
            }
            last = id;
        }
        if last == after && !page.objects.is_empty() {
            return Err(ApiError::NoScroll(format!("no object behind {after:?} has an id")));
        }
        if last != after {
            self.saw(last);
        } else if self.has_seen_behind(after) {
            return Err(ApiError::Contradiction(format!("nothing behind {after:?}, where an id was seen")));
        }
        Ok(())
    }

    fn saw(&self, id: &str) {
        let mut max = self.max_id.lock().unwrap_or_else(PoisonError::into_inner);
        if max.as_deref().is_none_or(|known| known < id) {
            *max = Some(id.to_owned());
        }
    }

    /// Whether any lane has seen an id behind this one.
    pub(crate) fn has_seen_behind(&self, id: &str) -> bool {
        let max = self.max_id.lock().unwrap_or_else(PoisonError::into_inner);
        max.as_deref().is_some_and(|max| max > id)
    }
}
