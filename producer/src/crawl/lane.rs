//! Lanes: each crawls intervals of the id space, page by page, side by side with the others.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use catalog_shared::cursor::Interval;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::error::{ApiError, Failed};
use crate::api::page::Page;
use crate::api::{Ask, Discovery};
use crate::crawl::border;
use crate::crawl::fetched::{Answer, Fetched, Reached};
use crate::crawl::look::{Look, MOST};
use crate::crawl::salvage::{self, Missing};
use crate::crawl::size::PageSize;
use crate::crawl::stretch::Search;
use crate::crawl::tails::Tails;
use crate::progress::watch;

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

    /// The end of an interval is an id behind it or a page without a further id, never a short one: the API drops
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
            let answer = self.settled(&interval, &after, pace);
            let Some(answer) = stop.run_until_cancelled(answer).await else { return Ok(()) };
            let (fetched, tail) = match answer?.of(&interval, &after) {
                Reached::Part(fetched) => (Some(fetched), None),
                Reached::End { last, tail } => (last, Some(tail)),
            };
            let mut next = Some(after);
            if let Some(fetched) = fetched {
                next = fetched.next().map(str::to_owned);
                fetched.note(&interval);
                tracing::debug!(fetched.from, "page in hand");
                if pages.send(fetched).await.is_err() {
                    return Ok(());
                }
            }
            let Some(next) = next else { return Ok(()) };
            if let Some(tail) = tail {
                self.tails.keep(next, tail);
                watch::finished();
                return Ok(());
            }
            after = next;
        }
    }

    /// What is behind an id, but for objects without an id that may belong to the next interval: they are left
    /// to it if it will have them.
    async fn settled(&self, interval: &Interval, after: &str, pace: &mut Pace) -> anyhow::Result<Answer> {
        let mut answer = self.answer(interval, after, pace).await?;
        if let (Answer::Page(page), Some(until)) = (&mut answer, &interval.until)
            && border::is_unclear(page, interval)
        {
            let (Answer::Page(behind)
            | Answer::Known(behind)
            | Answer::Last(behind)
            | Answer::Unavailable(_, behind)
            | Answer::Unnamed(_, behind)) = self.answer(interval, until, pace).await?;
            border::settle(page, interval, &behind);
        }
        Ok(answer)
    }

    /// What is behind an id. An answer that isn't complete is asked for at half the size, down to one object.
    async fn answer(&self, interval: &Interval, after: &str, pace: &mut Pace) -> anyhow::Result<Answer> {
        let mut look = Look::new(&pace.size, interval);
        loop {
            let ask = look.ask();
            match self.discovery.page(after, ask, |page| self.check(after, &look, page)).await {
                Ok(page) => {
                    if let Some(answer) = look.had(page) {
                        pace.size.succeeded(ask.size);
                        pace.stepped = 0;
                        return Ok(answer);
                    }
                }
                Err(error) if ask.can_shrink && error.incomplete_head().is_some() => {
                    pace.size.failed(ask.size);
                    look.failed();
                }
                Err(error) => return self.step_over(interval, after, look.into_held(), error, pace).await,
            }
        }
    }

    /// Steps over the one object behind `held` that can't be had; where it may not, the lane ends here.
    async fn step_over(
        &self,
        interval: &Interval,
        after: &str,
        held: Page,
        error: Failed,
        pace: &mut Pace,
    ) -> anyhow::Result<Answer> {
        let before: Vec<&str> = held.ids().collect();
        let missing = match salvage::unavailable(after, &before, &error, pace.stepped) {
            Ok(missing) => missing,
            Err(why) => {
                let until = interval.until.as_deref().unwrap_or("the end");
                return Err(error).with_context(|| {
                    format!("can't get what is behind the id {after:?} (this lane goes up to {until}{why})")
                });
            }
        };
        let answer = match missing {
            Missing::Further => {
                pace.stepped = 0;
                return Ok(Answer::Known(held));
            }
            Missing::Named(id) => Answer::Unavailable(id, held),
            Missing::Unnamed => self.past_unnamed(interval, after, held).await?,
        };
        let error = format!("{:#}", anyhow::Error::from(error));
        match &answer {
            Answer::Unavailable(id, _) => {
                self.saw(id);
                tracing::warn!(after, id, error, "stepping over an object that can't be had");
            }
            Answer::Unnamed(until, _) => {
                tracing::warn!(
                    after,
                    until,
                    error,
                    "stepping over something that can't be had and has no id"
                );
            }
            Answer::Page(_) | Answer::Known(_) | Answer::Last(_) => {}
        }
        pace.stepped += 1;
        Ok(answer)
    }

    /// Finds where answers can be read again, with one request for each of some forty ids.
    async fn past_unnamed(&self, interval: &Interval, after: &str, held: Page) -> anyhow::Result<Answer> {
        let from = held.last_id().unwrap_or(after);
        if from != after && self.can_read_behind(from).await? {
            // What can't be had has the same id as what came before it.
            return Ok(Answer::Unavailable(from.to_owned(), held));
        }
        let search = Search::new(from, interval.until.as_deref());
        let mut search = search.with_context(|| format!("can't get what is behind the id {from:?}"))?;
        while let Some(id) = search.next() {
            search.learn(self.can_read_behind(&id).await?);
        }
        Ok(Answer::Unnamed(search.end(), held))
    }

    async fn can_read_behind(&self, id: &str) -> anyhow::Result<bool> {
        let one = Ask { size: 1, can_shrink: false, loosely: true };
        match self.discovery.page(id, one, |page| in_order(id, page).map(drop)).await {
            Ok(_) => Ok(true),
            Err(error) if error.error.is_torn() => Ok(false),
            Err(error) => Err(error).with_context(|| format!("can't get what is behind the id {id:?}")),
        }
    }

    /// Whether a page can be true: ids ascend from the lower bound, and no more of them follow only where no
    /// larger id was seen.
    fn check(&self, after: &str, look: &Look<'_>, page: &Page) -> Result<(), ApiError> {
        let last = in_order(after, page)?;
        if last != after {
            self.saw(last);
        }
        if look.is_hopeless(page) {
            return Err(ApiError::NoScroll(format!("{MOST} objects behind {after:?} show no two ids")));
        }
        if look.is_the_end(page) { self.check_end(last) } else { Ok(()) }
    }

    /// Whether it can be true that no id is behind this one.
    fn check_end(&self, last: &str) -> Result<(), ApiError> {
        if self.has_seen_behind(last) {
            return Err(ApiError::Contradiction(format!(
                "nothing behind {last:?}, where an id was seen; if what was there has left the catalog since, \
                 --restart begins anew"
            )));
        }
        if last.is_empty() && self.declares_assets {
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

/// The last id of a page whose ids ascend from the lower bound. Several objects may have one id.
fn in_order<'a>(after: &'a str, page: &'a Page) -> Result<&'a str, ApiError> {
    let mut last = after;
    for id in page.ids() {
        if id < last || id == after {
            return Err(ApiError::NoScroll(if last == after {
                format!("asked for what is behind {after:?}, it sent {id:?}, as if asked for another page")
            } else {
                format!("the ids of a page are out of order: {id:?} came behind {last:?}")
            }));
        }
        last = id;
    }
    Ok(last)
}
