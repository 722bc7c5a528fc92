//! A run as a pure state machine: each step takes the current cursor and returns the records to publish and the
//! next cursor. Nothing here does I/O.

pub(crate) mod complete_since;
pub(crate) mod cursor_changes;
pub(crate) mod difference;
pub(crate) mod domain_sets;
pub(crate) mod end_records;
pub(crate) mod full_crawls;
pub(crate) mod lane_page;
pub(crate) mod lifecycle;
pub(crate) mod page_records;
pub(crate) mod plan;
pub(crate) mod record_builder;
pub(crate) mod request;
pub(crate) mod start;

use std::collections::BTreeMap;

use anyhow::Context;
use catalog_shared::cursor::{Cursor, Interval, Stopped};
use catalog_shared::record::{RecordType, Version};
use catalog_shared::topics::Topics;
use time::OffsetDateTime;

use crate::model::domains::Domains;
use crate::model::idspace;
use crate::model::outgoing::Outgoing;
use crate::model::page::Page;
use crate::run::lane_page::{LanePage, Skipped};
use crate::run::page_records::PageRecords;
use crate::run::record_builder::{Hosts, RecordBuilder};

/// A run in progress. Its cursor is the one that was committed last.
pub(crate) struct Run {
    topics: Topics,
    builder: RecordBuilder,
    cursor: Cursor,
}

/// What to commit in one transaction.
#[derive(Debug)]
pub(crate) struct Step {
    /// The numbers of the pages. One without records has the number of the page after it.
    pub(crate) pages: Vec<u32>,
    pub(crate) records: Vec<Outgoing>,
    pub(crate) next: Cursor,
}

impl Run {
    /// The run of a cursor that was committed.
    pub(crate) fn new(topics: Topics, cursor: Cursor) -> Self {
        let builder = RecordBuilder::new(&cursor, &topics);
        Self { topics, builder, cursor }
    }

    /// The same run, with the hosts that it has already published.
    pub(crate) fn with_published_hosts(mut self, hosts: Hosts) -> Self {
        self.builder.set_published_hosts(hosts);
        self
    }

    /// The number of records by type. The name of the topic of dead letters counts as a type.
    pub(crate) fn count(&self, records: &[Outgoing]) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for record in records {
            let kind = self.topics.record_type(&record.topic).map_or("dead-letters", RecordType::name);
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    pub(crate) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Moves on to a cursor that was committed.
    pub(crate) fn advance(&mut self, committed: Cursor) {
        self.cursor = committed;
    }

    /// Publishes the answer of `/domains`, which is page 0.
    pub(crate) fn domains(&self, domains: Domains) -> anyhow::Result<Step> {
        let mut step = self.unchanged();
        let records = self.builder.domains(&domains, version(&step.next), OffsetDateTime::now_utc());
        step.next.declared = domains.declared;
        step.add(records)?;
        Ok(step)
    }

    /// Publishes pages of lanes, up to the limit. Each gets its own number, as if it were published alone.
    pub(crate) fn lane_pages(&mut self, pages: Vec<LanePage>) -> anyhow::Result<Step> {
        let mut step = self.unchanged();
        for page in pages {
            self.add_lane_page(&mut step, page)?;
            // The pages after a limit do not belong to the run.
            if lifecycle::remaining(&step.next) == Some(0) {
                break;
            }
        }
        Ok(step)
    }

    fn add_lane_page(&mut self, step: &mut Step, lane_page: LanePage) -> anyhow::Result<()> {
        let LanePage { from, until, covered, page, largest_id, skipped } = lane_page;
        let next = &mut step.next;
        next.missed.skipped += u64::from(skipped.is_some());
        if let Some(Skipped::Object(id)) = skipped {
            cursor_changes::add_unread_ids(next, [id]);
        }
        cursor_changes::cover(&mut next.pending, &Interval { after: from, until }, covered);
        next.max_id = next.max_id.take().max(largest_id);
        self.add_objects(step, page)
    }

    /// Publishes the objects of a page up to the limit.
    fn add_objects(&mut self, step: &mut Step, mut page: Page) -> anyhow::Result<()> {
        let next = &mut step.next;
        let remaining = lifecycle::remaining(next)
            .map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
        page.objects.truncate(cursor_changes::len_within_limit(&page, remaining));
        let records = self.builder.page(&page.objects, version(next), page.observed_at);
        next.objects += page.objects.len() as u64;
        if page.objects.len() >= remaining {
            next.pending.clear();
        }
        step.add(records)
    }

    /// Publishes a page of the listing by date, which covers no interval of ids.
    pub(crate) fn listed_page(&mut self, page: &Page) -> anyhow::Result<Step> {
        let mut step = self.unchanged();
        let records = self.builder.page(&page.objects, version(&step.next), page.observed_at);
        step.next.objects += page.objects.len() as u64;
        step.add(records)?;
        Ok(step)
    }

    /// Splits the pending intervals for this many lanes.
    pub(crate) fn split(&self, lanes: usize) -> Step {
        let mut step = self.unchanged();
        step.next.pending = idspace::split(step.next.pending, lanes);
        step
    }

    /// Records in the cursor that the crawl stopped, why, and whether a webhook has accepted that.
    pub(crate) fn stopped(&self, error: Option<String>, is_notified: bool) -> Step {
        let stopped = Some(Stopped { at: OffsetDateTime::now_utc(), error });
        let mut step = self.unchanged();
        step.next.stopped = stopped;
        step.next.notified |= is_notified;
        step
    }

    /// Ends the run with one end-of-run record on every partition that the run may have written to.
    pub(crate) fn end(&self) -> anyhow::Result<Step> {
        let cursor = Cursor { pending: Vec::new(), ..self.cursor.clone() };
        let ended_at = OffsetDateTime::now_utc();
        let records = end_records::build(&self.topics, &cursor, version(&cursor), ended_at)?;
        Ok(Step { pages: Vec::new(), records, next: lifecycle::ended(&cursor, ended_at) })
    }

    /// A step that has published nothing yet.
    fn unchanged(&self) -> Step {
        Step { pages: Vec::new(), records: Vec::new(), next: self.cursor.clone() }
    }
}

impl Step {
    /// Adds the records of the next page, and counts them.
    fn add(&mut self, page: PageRecords) -> anyhow::Result<()> {
        let next = &mut self.next;
        self.pages.push(next.next_page);
        // A page without records, which only ends an interval, gets no number.
        let is_numbered = !page.outgoing.is_empty() || next.next_page == 0;
        let next_page = next.next_page.checked_add(u32::from(is_numbered));
        next.next_page = next_page.context("a run has at most 2^32 pages")?;
        cursor_changes::add_missed(next, page.missed);
        for (kind, partition) in page.published {
            cursor_changes::count(next, kind, partition);
        }
        for (domain, seen) in page.seen {
            *next.seen.entry(domain).or_default() += seen;
        }
        self.records.extend(page.outgoing);
        Ok(())
    }
}

/// The version of the records of the next page.
const fn version(cursor: &Cursor) -> Version {
    Version { run: cursor.run, page: cursor.next_page }
}

#[cfg(test)]
mod tests;
