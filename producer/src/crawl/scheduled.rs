//! Crawls at each slot of a schedule. All state is in the region's cursor, so a restart loses nothing, and another producer of
//! the region sees what this one has done.

use std::sync::Arc;

use catalog_shared::cursor::{Cursor, RunState};
use catalog_shared::cursor_reader;
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::outage::retry_while_down_within;
use catalog_shared::rights;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;
use uuid::Uuid;

use crate::config::CrawlArgs;
use crate::crawl::Crawler;
use crate::run::request::CrawlRequest;
use crate::schedule::state::ScheduleState;
use crate::schedule::{Next, Schedule, Slot};

/// The maximum number of crawls in a slot: the rest of an interrupted one, and the slot's own.
const MAX_CRAWLS: usize = 2;

/// Crawls at the slots of a schedule.
pub(super) struct Scheduler {
    schedule: Schedule,
    /// The slot that comes next.
    expected: Slot,
    state: Arc<ScheduleState>,
}

impl Scheduler {
    /// The scheduler for `--every`; `None` without it.
    ///
    /// # Errors
    /// [`Stop::Usage`] for flags that contradict each other.
    pub(super) fn new(args: &CrawlArgs) -> Result<Option<Self>, Stop> {
        let Some(schedule) = args.schedule.schedule(args.datasets, draw())? else { return Ok(None) };
        let expected = schedule.first(OffsetDateTime::now_utc());
        let state = Arc::new(ScheduleState::new(schedule, expected));
        Ok(Some(Self { schedule, expected, state }))
    }

    /// What monitoring shows.
    pub(super) fn state(&self) -> Arc<ScheduleState> {
        Arc::clone(&self.state)
    }

    /// Crawls until a shutdown.
    ///
    /// # Errors
    /// [`Stop`] if the next slot would fail in the same way, or if a shutdown interrupted a crawl.
    pub(super) async fn run(mut self, crawler: &Crawler<'_>, request: &CrawlRequest) -> anyhow::Result<()> {
        let started = self.crawl_at_start(crawler, request).await;
        crawler.monitor.end_crawl();
        self.record_end(started, crawler)?;
        let mut announced = None;
        while !crawler.shutdown.is_cancelled() {
            match self.schedule.next_step(self.expected, OffsetDateTime::now_utc()) {
                Next::Wait { slot, wait } => {
                    self.expected = slot;
                    self.state.wait(slot);
                    if announced.replace(slot) != Some(slot) {
                        self.announce();
                        crawler.notifier.started();
                    }
                    let _ = crawler.shutdown.run_until_cancelled(sleep(wait)).await;
                }
                Next::Missed { slot, missed } => self.miss(missed, slot),
                Next::Crawl { slot, missed } => {
                    self.miss(missed, slot);
                    self.crawl_slot(crawler, request, slot).await?;
                }
            }
        }
        Ok(())
    }

    /// The request for a slot.
    fn request(&self, request: &CrawlRequest, slot: Slot) -> CrawlRequest {
        CrawlRequest { full_since: self.schedule.full_since(slot), ..request.clone() }
    }

    /// At the start, an interrupted run continues, and the first run of a region starts, without waiting for a slot. Returns
    /// whether there was one.
    async fn crawl_at_start(
        &mut self,
        crawler: &Crawler<'_>,
        request: &CrawlRequest,
    ) -> anyhow::Result<bool> {
        let Some(last) = crawler.last_cursor().await? else { return Ok(false) };
        let started_at = match last {
            None => OffsetDateTime::now_utc(),
            Some(last) if last.state == RunState::Crawling => last.started_at,
            Some(_) => return Ok(false),
        };
        let request = self.request(request, self.expected);
        self.expected = self.schedule.during_first_crawl(self.expected, started_at);
        self.state.begin_crawl(self.expected);
        crawler.crawl(&request).await?;
        Ok(true)
    }

    /// Crawls in a slot. The next look at the clock decides which slots were missed meanwhile.
    async fn crawl_slot(
        &mut self,
        crawler: &Crawler<'_>,
        request: &CrawlRequest,
        slot: Slot,
    ) -> anyhow::Result<()> {
        self.expected = self.schedule.following(slot);
        self.state.begin_crawl(self.expected);
        let crawled = crawl_until_done(crawler, &self.request(request, slot), slot).await;
        crawler.monitor.end_crawl();
        self.record_end(crawled, crawler)
    }

    /// Notes missed slots, and which one comes next.
    fn miss(&mut self, missed: u64, next: Slot) {
        self.expected = next;
        self.state.miss(missed, next);
        if missed > 0 {
            tracing::warn!(event = events::SLOTS_MISSED, missed, "slots passed without a crawl");
        }
    }

    /// Notes how the crawls of a slot ended.
    fn record_end(&self, crawled: anyhow::Result<bool>, crawler: &Crawler<'_>) -> anyhow::Result<()> {
        match crawled {
            Ok(has_crawled) => {
                if has_crawled {
                    self.state.end(false);
                }
                Ok(())
            }
            // Flags that can't work and another producer that has taken over concern every later slot too. After a shutdown no
            // other slot follows. Anything else may have passed until then.
            Err(error) if Stop::is_cause_of(&error) || crawler.shutdown.is_cancelled() => Err(error),
            Err(error) => {
                self.state.end(true);
                let error = format!("{error:#}");
                tracing::error!(
                    event = events::CRAWL_FAILED,
                    error,
                    "the crawl failed; the next slot tries again"
                );
                Ok(())
            }
        }
    }

    fn announce(&self) {
        let next = self.schedule.start(self.expected).format(&Rfc3339).unwrap_or_default();
        tracing::info!(event = events::CRAWL_SCHEDULED, next, "waiting for the next crawl");
    }
}

/// Crawls until the cursor shows that the slot needs nothing more. Returns whether there was a crawl.
async fn crawl_until_done(crawler: &Crawler<'_>, request: &CrawlRequest, slot: Slot) -> anyhow::Result<bool> {
    for crawls in 0..MAX_CRAWLS {
        let Some(last) = crawler.last_cursor().await? else { return Ok(crawls > 0) };
        let now = OffsetDateTime::now_utc();
        if let Some(last) = last.filter(|last| request.is_done(last, slot.time(), now)) {
            if crawls == 0 {
                tracing::info!(
                    event = events::SLOT_DONE,
                    run = last.run,
                    "the run of this slot has already ended"
                );
            }
            return Ok(crawls > 0);
        }
        crawler.crawl(request).await?;
    }
    Ok(true)
}

impl Crawler<'_> {
    /// The last cursor of the region, if it has one. The outer option is `None` after a shutdown.
    async fn last_cursor(&self) -> anyhow::Result<Option<Option<Cursor>>> {
        let (kafka, region) = (&self.args.kafka, self.args.api.region);
        let topics = kafka.topics();
        let limit = self.args.wait_for_kafka;
        let cursor = async || cursor_reader::read_if_exists(kafka, &topics, region).await;
        let read = retry_while_down_within(kafka, limit, cursor);
        let read = rights::named(self.shutdown.run_until_cancelled(read).await.transpose());
        if let Ok(Some(Some(Cursor { ended_at: Some(at), .. }))) = &read {
            self.notifier.run_ended(*at);
        }
        self.notifier.crawl_failed(None, read.as_ref().err()).await;
        read
    }
}

/// A random number from 0 to 1.
fn draw() -> f64 {
    let [.., a, b, c, d] = *Uuid::new_v4().as_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_drawn_from_the_whole_jitter() {
        let drawn: Vec<f64> = (0..200).map(|_| draw()).collect();
        assert!(drawn.iter().all(|drawn| (0.0..=1.0).contains(drawn)));
        assert!(drawn.iter().any(|drawn| *drawn < 0.3) && drawn.iter().any(|drawn| *drawn > 0.7));
    }
}
