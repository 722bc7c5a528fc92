//! Lanes: each crawls intervals of the id space, page by page, side by side with the others.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use catalog_shared::cursor::Interval;
use catalog_shared::key::is_name;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::crawl::border;
use crate::crawl::salvage;
use crate::crawl::size::PageSize;
use crate::discover::error::{ApiError, Failed};
use crate::discover::page::Page;
use crate::discover::{Ask, Discovery};
use crate::report::watch;

/// A page of one interval, and how far it takes it.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The interval's lower bound before this page; it tells which interval is meant.
    pub(crate) from: String,
    /// How far the interval is covered once the page is published.
    pub(crate) covered: Covered,
    /// The page, without objects behind the interval.
    pub(crate) page: Page,
    /// How many objects were stepped over.
    pub(crate) skipped: u64,
}

impl Fetched {
    /// The id that the next page of the interval starts behind; none where it is covered.
    fn next(&self) -> Option<&str> {
        match &self.covered {
            Covered::UpTo(id) => Some(id),
            Covered::Whole => None,
        }
    }

    /// Notes for whoever looks on how far it takes the lane.
    fn note(&self, interval: &Interval) {
        watch::reached(interval, self.next().unwrap_or(&self.from), self.page.objects.len());
        if self.covered == Covered::Whole {
            watch::finished();
        }
    }
}

/// What the API has behind an id.
pub(crate) enum Answer {
    Page(Page),
    /// An object with this id that can't be had, and before it some without an id.
    Unavailable(String, Page),
}

impl Answer {
    fn is_the_end(&self) -> bool {
        matches!(self, Self::Page(page) if page.last_id().is_none())
    }

    /// The part of it that is of the interval; none where nothing is left.
    pub(crate) fn of(self, interval: &Interval, after: &str) -> Option<Fetched> {
        let (page, last, skipped) = match self {
            Self::Page(mut page) => {
                let last = page.last_id().map(str::to_owned);
                if last.is_some() {
                    page.objects.truncate(page.within(interval));
                }
                (page, last, 0)
            }
            Self::Unavailable(id, nameless) => {
                let skipped = u64::from(!interval.ends_before(&id));
                (nameless, Some(id), skipped)
            }
        };
        let from = after.to_owned();
        let Some(last) = last else {
            // What has no id comes once more on each page until one with an id follows: at the end none does.
            let covered = Covered::UpTo(from.clone());
            return (!page.objects.is_empty()).then_some(Fetched { from, covered, page, skipped });
        };
        let done = interval.ends_before(&last) || interval.until.as_ref() == Some(&last);
        let covered = if done { Covered::Whole } else { Covered::UpTo(last) };
        Some(Fetched { from, covered, page, skipped })
    }
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
    /// Whether `/domains` declares any asset.
    declares_assets: bool,
}

impl Lanes {
    /// Lanes over `pending`, where `max_id` is the largest id that the run has seen.
    pub(crate) fn new(
        discovery: Discovery,
        page_size: u16,
        max_id: Option<String>,
        declares_assets: bool,
    ) -> Self {
        Self { discovery, page_size, queue: Mutex::default(), max_id: Mutex::new(max_id), declares_assets }
    }

    /// Queues intervals for the lanes to take.
    pub(crate) fn queue(&self, intervals: Vec<Interval>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(intervals);
    }

    /// Crawls intervals until the queue is empty. Ends early when nobody takes the pages any more, and at
    /// `stop`: what is awaited then is given up, but not a page in hand.
    pub(crate) async fn crawl(
        &self,
        lane: usize,
        pages: Sender<Fetched>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut size = PageSize::new(self.page_size);
        while let Some(interval) = self.next_interval() {
            let span = tracing::info_span!("lane", lane, until = interval.until.as_deref());
            self.crawl_interval(interval, &mut size, &pages, stop).instrument(span).await?;
        }
        Ok(())
    }

    fn next_interval(&self) -> Option<Interval> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The end of an interval is an id behind it or a page without ids, never a short one: the API drops
    /// documents that it can't read. An interval whose end was such a page stays pending: the crawl takes
    /// it as covered once no lane has seen a larger id.
    async fn crawl_interval(
        &self,
        interval: Interval,
        size: &mut PageSize,
        pages: &Sender<Fetched>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut after = interval.after.clone();
        loop {
            let answer = self.believed(&interval, &after, size);
            let Some(answer) = stop.run_until_cancelled(answer).await else { return Ok(()) };
            let Some(fetched) = answer?.of(&interval, &after) else {
                watch::finished();
                return Ok(());
            };
            let next = fetched.next().map(str::to_owned);
            fetched.note(&interval);
            tracing::debug!(after, "page in hand");
            if pages.send(fetched).await.is_err() {
                return Ok(());
            }
            match next {
                Some(next) if next != after => after = next,
                _ => return Ok(()),
            }
        }
    }

    /// What is behind an id. That nothing is is believed when it comes twice, and objects without an id
    /// that may belong to the next interval are left to it if it will have them.
    async fn believed(
        &self,
        interval: &Interval,
        after: &str,
        size: &mut PageSize,
    ) -> anyhow::Result<Answer> {
        let mut answer = self.answer(interval, after, size).await?;
        if answer.is_the_end() {
            return self.answer(interval, after, size).await;
        }
        if let (Answer::Page(page), Some(until)) = (&mut answer, &interval.until)
            && border::is_unclear(page, interval)
            && let Answer::Page(behind) = self.answer(interval, until, size).await?
        {
            border::settle(page, interval, &behind);
        }
        Ok(answer)
    }

    /// What is behind an id: a page with an id, a page asked at the full size, or an object that can't be
    /// had. An answer that isn't complete is asked for at half the size, down to one object.
    async fn answer(&self, interval: &Interval, after: &str, size: &mut PageSize) -> anyhow::Result<Answer> {
        // So many places behind `after` hold no object with an id, as a smaller page has shown.
        let mut vain = 0;
        let mut nameless = Page::empty();
        let mut ask = size.now();
        loop {
            let can_shrink = ask > vain + 1;
            let check = |page: &Page| self.check(after, ask, page);
            match self.discovery.page(after, Ask { size: ask, can_shrink }, check).await {
                Ok(page) if page.last_id().is_none() && ask < size.full() => {
                    (vain, nameless) = (ask, page);
                    ask = size.full();
                }
                Ok(page) => {
                    size.succeeded(ask);
                    return Ok(Answer::Page(page));
                }
                Err(error) if can_shrink && error.incomplete_head().is_some() => {
                    size.failed(ask);
                    ask = vain + (ask - vain) / 2;
                }
                Err(error) => {
                    let id = self.step_over(interval, after, error)?;
                    return Ok(Answer::Unavailable(id, nameless));
                }
            }
        }
    }

    /// Steps over the one object that can't be had, if what came of it names it.
    fn step_over(&self, interval: &Interval, after: &str, error: Failed) -> anyhow::Result<String> {
        let id = error.incomplete_head().and_then(|head| salvage::last_id(head));
        let Some(id) = id.filter(|id| id.as_str() > after && is_name(id)) else {
            let until = interval.until.as_deref().unwrap_or("the end");
            return Err(error).with_context(|| {
                format!("can't get what is behind the id {after:?} (this lane goes up to {until})")
            });
        };
        let error = format!("{:#}", anyhow::Error::from(error));
        tracing::warn!(after, id, error, "stepping over an object that can't be had");
        self.saw(&id);
        Ok(id)
    }

    /// Whether a page can be true: ids ascend from the lower bound, and there are none only where no
    /// larger id was seen. A page of less than the full size that has none is left to the caller, who asks
    /// for more.
    fn check(&self, after: &str, asked: u16, page: &Page) -> Result<(), ApiError> {
        let mut last = after;
        for id in page.objects.iter().filter_map(|object| object.id.as_deref()) {
            if id <= last {
                return Err(ApiError::NoScroll(if last == after {
                    format!(
                        "asked for what is behind {after:?}, it sent {id:?}, as if asked for another page"
                    )
                } else {
                    format!("the ids of a page are out of order: {id:?} came behind {last:?}")
                }));
            }
            last = id;
        }
        if last != after {
            self.saw(last);
            return Ok(());
        }
        if asked < self.page_size { Ok(()) } else { self.check_end(after, page) }
    }

    /// Whether it can be true that no id is behind this one.
    fn check_end(&self, after: &str, page: &Page) -> Result<(), ApiError> {
        if page.objects.len() >= usize::from(self.page_size) {
            return Err(ApiError::NoScroll(format!("no object of a whole page behind {after:?} has an id")));
        }
        if self.has_seen_behind(after) {
            return Err(ApiError::Contradiction(format!("nothing behind {after:?}, where an id was seen")));
        }
        if after.is_empty() && self.declares_assets {
            return Err(ApiError::Contradiction("no assets at all, where /domains declares some".to_owned()));
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
