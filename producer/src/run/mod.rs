//! A run as a pure state machine: each step takes the current cursor and returns the records to publish and the
//! next cursor. Nothing here does I/O.

pub(crate) mod complete_since;
pub(crate) mod cursor_changes;
pub(crate) mod difference;
pub(crate) mod end_records;
pub(crate) mod lane_page;
pub(crate) mod lifecycle;
pub(crate) mod page_records;
pub(crate) mod plan;
pub(crate) mod record_builder;
pub(crate) mod request;
pub(crate) mod start;

use anyhow::Context;
use catalog_shared::cursor::{Cursor, Stopped};
use catalog_shared::record::Version;
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

    pub(crate) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// How many more assets a run with a limit takes.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.cursor.shape.limit.map(|limit| limit.saturating_sub(self.cursor.objects))
    }

    /// Moves on to a cursor that was committed.
    pub(crate) fn advance(&mut self, committed: Cursor) {
        self.cursor = committed;
    }

    /// Publishes the answer of `/domains`, which is page 0.
    pub(crate) fn domains(&self, domains: Domains) -> anyhow::Result<Step> {
        let records = self.builder.domains(&domains, self.version(), OffsetDateTime::now_utc());
        let next = Cursor { declared: domains.declared, ..self.cursor.clone() };
        self.step(records, next)
    }

    /// Publishes a page of a lane.
    pub(crate) fn lane_page(&mut self, lane_page: LanePage) -> anyhow::Result<Step> {
        let LanePage { from, covered, mut page, largest_id, skipped } = lane_page;
        let mut next = self.cursor.clone();
        next.skipped += u64::from(skipped.is_some());
        if let Some(Skipped::Object(id)) = skipped {
            cursor_changes::add_unread_ids(&mut next, [id]);
        }
        cursor_changes::cover(&mut next.pending, &from, covered);
        next.max_id = next.max_id.max(largest_id);
        self.objects(&mut page, next)
    }

    /// Publishes the objects of a page up to the limit; `next` is the following cursor except for its counts.
    fn objects(&mut self, page: &mut Page, mut next: Cursor) -> anyhow::Result<Step> {
        let remaining =
            self.remaining().map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
        page.objects.truncate(cursor_changes::len_within_limit(page, remaining));
        let records = self.builder.page(&page.objects, self.version(), page.observed_at);
        next.objects += page.objects.len() as u64;
        if page.objects.len() >= remaining {
            next.pending.clear();
        }
        self.step(records, next)
    }

    /// Publishes a page of the listing by date, which covers no interval of ids.
    pub(crate) fn listed_page(&mut self, page: &Page) -> anyhow::Result<Step> {
        let records = self.builder.page(&page.objects, self.version(), page.observed_at);
        let objects = self.cursor.objects + page.objects.len() as u64;
        let next = Cursor { objects, ..self.cursor.clone() };
        self.step(records, next)
    }

    /// Splits the pending intervals for this many lanes.
    pub(crate) fn split(&self, lanes: usize) -> anyhow::Result<Step> {
        let pending = idspace::split(self.cursor.pending.clone(), lanes);
        let next = Cursor { pending, ..self.cursor.clone() };
        self.step(PageRecords::default(), next)
    }

    /// Records in the cursor that the crawl stopped, and why.
    pub(crate) fn stopped(&self, error: Option<String>) -> Step {
        let stopped = Some(Stopped { at: OffsetDateTime::now_utc(), error });
        Step { records: Vec::new(), next: Cursor { stopped, ..self.cursor.clone() } }
    }

    /// Ends the run with one end-of-run record on every partition that the run may have written to.
    pub(crate) fn end(&self) -> anyhow::Result<Step> {
        let cursor = Cursor { pending: Vec::new(), ..self.cursor.clone() };
        let ended_at = OffsetDateTime::now_utc();
        let records = end_records::build(&self.topics, &cursor, self.version(), ended_at)?;
        Ok(Step { records, next: lifecycle::ended(&cursor, ended_at) })
    }

    const fn version(&self) -> Version {
        Version { run: self.cursor.run, page: self.cursor.next_page }
    }

    fn step(&self, page: PageRecords, mut next: Cursor) -> anyhow::Result<Step> {
        // A page without records, which only ends an interval, gets no number.
        let is_numbered = !page.outgoing.is_empty() || self.cursor.next_page == 0;
        let next_page = self.cursor.next_page.checked_add(u32::from(is_numbered));
        next.next_page = next_page.context("a run has at most 2^32 pages")?;
        cursor_changes::add_missed(&mut next, page.missed);
        for (kind, partition) in page.published {
            cursor_changes::count(&mut next, kind, partition);
        }
        for (domain, seen) in page.seen {
            *next.seen.entry(domain).or_default() += seen;
        }
        Ok(Step { records: page.outgoing, next })
    }
}

#[cfg(test)]
mod tests;
