//! Lanes: each crawls intervals of the id space, page by page, side by side with the others.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use catalog_shared::cursor::Interval;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::crawl::border;
use crate::crawl::fetched::{Answer, Fetched, Reached};
use crate::crawl::salvage;
use crate::crawl::size::PageSize;
use crate::crawl::tails::Tails;
use crate::discover::error::{ApiError, Failed};
use crate::discover::page::Page;
use crate::discover::{Ask, Discovery};
use crate::report::watch;

/// What the lanes of a crawl share.
pub(crate) struct Lanes {
    discovery: Discovery,
    /// The size that a lane begins with.
    size: PageSize,
    queue: Mutex<VecDeque<Interval>>,
    max_id: Mutex<Option<String>>,
    /// Whether `/domains` declares any asset of those that are asked for.
    declares_assets: bool,
    pub(crate) tails: Tails,
}

/// What a lane has learnt on its way.
struct Pace {
    size: PageSize,
    /// How many objects it has stepped over since its last good page.
    stepped: u32,
}

impl Lanes {
    /// Lanes that begin with pages of this size, where `max_id` is the largest id that the run has seen.
    pub(crate) fn new(
        discovery: Discovery,
        size: PageSize,
        max_id: Option<String>,
        declares_assets: bool,
    ) -> Self {
        let (queue, max_id) = (Mutex::default(), Mutex::new(max_id));
        Self { discovery, size, queue, max_id, declares_assets, tails: Tails::default() }
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
        let mut pace = Pace { size: self.size, stepped: 0 };
        while let Some(interval) = self.next_interval() {
            let span = tracing::info_span!("lane", lane, until = interval.until.as_deref());
            self.crawl_interval(interval, &mut pace, &pages, stop).instrument(span).await?;
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
        pace: &mut Pace,
        pages: &Sender<Fetched>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut after = interval.after.clone();
        loop {
            let answer = self.believed(&interval, &after, pace);
            let Some(answer) = stop.run_until_cancelled(answer).await else { return Ok(()) };
            let fetched = match answer?.of(&interval, &after) {
                Reached::Part(fetched) => fetched,
                Reached::End(tail) => {
                    self.tails.keep(after, tail);
                    watch::finished();
                    return Ok(());
                }
            };
            let next = fetched.next().map(str::to_owned);
            fetched.note(&interval);
            tracing::debug!(after, "page in hand");
            if pages.send(fetched).await.is_err() {
                return Ok(());
            }
            let Some(next) = next else { return Ok(()) };
            after = next;
        }
    }

    /// What is behind an id. An answer without ids is believed when it comes twice, and objects without an id
    /// that may belong to the next interval are left to it if it will have them.
    async fn believed(&self, interval: &Interval, after: &str, pace: &mut Pace) -> anyhow::Result<Answer> {
        let mut answer = self.answer(interval, after, pace).await?;
        if answer.is_the_end() {
            return self.answer(interval, after, pace).await;
        }
        if let (Answer::Page(page), Some(until)) = (&mut answer, &interval.until)
            && border::is_unclear(page, interval)
        {
            let (Answer::Page(behind) | Answer::Unavailable(_, behind)) =
                self.answer(interval, until, pace).await?;
            border::settle(page, interval, &behind);
        }
        Ok(answer)
    }

    /// What is behind an id: a page with an id, a page asked at the full size, or an object that can't be
    /// had. An answer that isn't complete is asked for at half the size, down to one object.
    async fn answer(&self, interval: &Interval, after: &str, pace: &mut Pace) -> anyhow::Result<Answer> {
        // How many places behind `after` hold no object with an id, as a smaller page has shown.
        let mut vain = 0;
        let mut nameless = Page::empty();
        let mut ask = pace.size.now();
        loop {
            let can_shrink = ask > vain + 1;
            let check = |page: &Page| self.check(after, ask, page);
            match self.discovery.page(after, Ask { size: ask, can_shrink }, check).await {
                Ok(page) if page.last_id().is_none() && ask < pace.size.full() => {
                    (vain, nameless) = (ask, page);
                    ask = pace.size.full();
                }
                Ok(page) => {
                    pace.size.succeeded(ask);
                    pace.stepped = 0;
                    return Ok(Answer::Page(page));
                }
                Err(error) if can_shrink && error.incomplete_head().is_some() => {
                    pace.size.failed(ask);
                    ask = vain + (ask - vain) / 2;
                }
                Err(error) => {
                    let id = self.step_over(interval, after, error, pace)?;
                    return Ok(Answer::Unavailable(id, nameless));
                }
            }
        }
    }

    /// Steps over the one object that can't be had; where it may not, the lane ends here.
    fn step_over(
        &self,
        interval: &Interval,
        after: &str,
        error: Failed,
        pace: &mut Pace,
    ) -> anyhow::Result<String> {
        let id = match salvage::unavailable(after, &error, pace.stepped) {
            Ok(id) => id,
            Err(why) => {
                let until = interval.until.as_deref().unwrap_or("the end");
                return Err(error).with_context(|| {
                    format!("can't get what is behind the id {after:?} (this lane goes up to {until}{why})")
                });
            }
        };
        let error = format!("{:#}", anyhow::Error::from(error));
        tracing::warn!(after, id, error, "stepping over an object that can't be had");
        pace.stepped += 1;
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
        if asked < self.size.full() { Ok(()) } else { self.check_end(after, page) }
    }

    /// Whether it can be true that no id is behind this one.
    fn check_end(&self, after: &str, page: &Page) -> Result<(), ApiError> {
        if page.objects.len() >= usize::from(self.size.full()) {
            return Err(ApiError::NoScroll(format!("no object of a whole page behind {after:?} has an id")));
        }
        if self.has_seen_behind(after) {
            return Err(ApiError::Contradiction(format!(
                "nothing behind {after:?}, where an id was seen; if what was there has left the catalog since, \
                 --restart begins anew"
            )));
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
