//! Publishing: each step of a run is one transaction of records and the cursor that speaks of them.

pub(crate) mod claim;
pub(crate) mod commit;
pub(crate) mod cursor_record;
pub(crate) mod delivery;
pub(crate) mod ends;
pub(crate) mod failure;
pub(crate) mod hosts;
pub(crate) mod leaders;
pub(crate) mod markers;
pub(crate) mod sink;
pub(crate) mod transaction;
pub(crate) mod undecided;

use anyhow::Context;
use catalog_shared::cursor::{Cursor, Stopped};
use catalog_shared::record::Version;
use catalog_shared::topics::Topics;
use time::OffsetDateTime;

use crate::api::domains::Domains;
use crate::api::page::Page;
use crate::crawl::fetched::{Fetched, Skipped};
use crate::model::idspace;
use crate::model::outgoing::Outgoing;
use crate::publish::hosts::Hosts;
use crate::publish::sink::Sink;
use crate::run::page_writer::PageRecords;
use crate::run::records::Recorder;
use crate::run::step;

/// A run being published. Its cursor is always the one that was committed last.
pub(crate) struct Publisher {
    sink: Sink,
    topics: Topics,
    recorder: Recorder,
    cursor: Cursor,
    /// Whether it is known how the last commit ended.
    is_certain: bool,
}

impl Publisher {
    /// A publisher of a cursor's run; in Kafka the cursor has claimed the region.
    pub(crate) fn new(sink: Sink, topics: Topics, cursor: Cursor) -> Self {
        let recorder = Recorder::new(&cursor, &topics);
        Self { sink, topics, recorder, cursor, is_certain: true }
    }

    /// The same, knowing which hosts the run has published before.
    pub(crate) fn knowing(mut self, hosts: Hosts) -> Self {
        self.recorder.know(hosts);
        self
    }

    pub(crate) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// How many assets a run with a limit still takes.
    pub(crate) fn left(&self) -> Option<u64> {
        self.cursor.shape.limit.map(|limit| limit.saturating_sub(self.cursor.objects))
    }

    /// Publishes what `/domains` declares, which is page 0.
    pub(crate) async fn domains(&mut self, domains: Domains) -> anyhow::Result<()> {
        let records = self.recorder.domains(&domains, self.version(), OffsetDateTime::now_utc());
        let next = Cursor { declared: domains.declared, ..self.cursor.clone() };
        self.commit(records, next).await
    }

    /// Publishes a page of a lane.
    pub(crate) async fn page(&mut self, fetched: Fetched) -> anyhow::Result<()> {
        let Fetched { from, covered, mut page, shown, skipped } = fetched;
        let mut next = self.cursor.clone();
        next.skipped += u64::from(skipped.is_some());
        if let Some(Skipped::Object(id)) = skipped {
            step::keep_unread(&mut next, [id]);
        }
        step::cover(&mut next.pending, &from, covered);
        next.max_id = next.max_id.max(shown);
        self.objects(&mut page, next).await
    }

    /// Publishes what lies behind the last id. Nothing is pending with it, so that a resumed run goes on with
    /// the markers.
    pub(crate) async fn tail(&mut self, mut tail: Page) -> anyhow::Result<()> {
        let next = Cursor { pending: Vec::new(), ..self.cursor.clone() };
        self.objects(&mut tail, next).await
    }

    /// Publishes the objects of a page up to the limit, with the cursor to follow but for its counts.
    async fn objects(&mut self, page: &mut Page, mut next: Cursor) -> anyhow::Result<()> {
        let left = self.left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        page.objects.truncate(step::taken(page, left));
        let records = self.recorder.page(&page.objects, self.version(), page.observed_at);
        next.objects += page.objects.len() as u64;
        if page.objects.len() >= left {
            next.pending.clear();
        }
        self.commit(records, next).await
    }

    /// Publishes a page of the listing by date, which covers no interval of ids.
    pub(crate) async fn listed(&mut self, page: Page) -> anyhow::Result<()> {
        let records = self.recorder.page(&page.objects, self.version(), page.observed_at);
        let objects = self.cursor.objects + page.objects.len() as u64;
        let next = Cursor { objects, ..self.cursor.clone() };
        self.commit(records, next).await
    }

    /// Cuts what is pending anew.
    pub(crate) async fn cut(&mut self, lanes: usize) -> anyhow::Result<()> {
        let pending = idspace::cut(self.cursor.pending.clone(), lanes);
        let next = Cursor { pending, ..self.cursor.clone() };
        self.commit(PageRecords::default(), next).await
    }

    /// Notes in the cursor why the run goes no further, for whoever asks where it stands. Not after a commit that may
    /// or may not have reached Kafka: this cursor would undo it, and its page would be published twice.
    pub(crate) async fn stop(&mut self, error: Option<String>) -> anyhow::Result<()> {
        if !self.is_certain {
            return Ok(());
        }
        let stopped = Some(Stopped { at: OffsetDateTime::now_utc(), error });
        self.publish(Vec::new(), Cursor { stopped, ..self.cursor.clone() }).await
    }

    async fn publish(&mut self, records: Vec<Outgoing>, next: Cursor) -> anyhow::Result<()> {
        self.is_certain = false;
        self.sink.commit(records, &next).await?;
        (self.is_certain, self.cursor) = (true, next);
        Ok(())
    }

    const fn version(&self) -> Version {
        Version { run: self.cursor.run, page: self.cursor.next_page }
    }

    async fn commit(&mut self, records: PageRecords, mut next: Cursor) -> anyhow::Result<()> {
        // A page that only ends an interval has no records, and needs no number.
        let numbered = !records.outgoing.is_empty() || self.cursor.next_page == 0;
        next.next_page =
            self.cursor.next_page.checked_add(u32::from(numbered)).context("a run has at most 2^32 pages")?;
        step::miss(&mut next, records.missed);
        for (kind, partition) in records.published {
            step::count(&mut next, kind, partition);
        }
        for (domain, seen) in records.seen {
            *next.seen.entry(domain).or_default() += seen;
        }
        let page = self.cursor.next_page;
        self.publish(records.outgoing, next).await?;
        tracing::debug!(run = self.cursor.run, page, "page published");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use catalog_shared::cursor::{Mode, Shape};
    use catalog_shared::marker::UNREAD_IDS;
    use catalog_shared::record::Kind;
    use catalog_shared::region::Region;
    use serde_json::json;

    use super::*;
    use crate::crawl::fetched::Covered;
    use crate::publish::markers::marker;
    use crate::run::lifecycle;
    use crate::run::step::keep_unread;

    /// A publisher to nowhere of a part-run with a limit, in two lanes.
    fn limited(limit: u64) -> Publisher {
        let shape = Shape {
            mode: Mode::Part,
            kinds: Kind::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit: Some(limit),
            domains: Vec::new(),
            from: None,
        };
        let partitions = Kind::ALL.map(|kind| (kind, 2)).into();
        let mut cursor = lifecycle::fresh(Region::Us, shape, 1, &partitions);
        cursor.pending = idspace::cut(cursor.pending, 2);
        Publisher::new(Sink::Nowhere, Topics::new(""), cursor)
    }

    fn fetched(from: &str, ids: [&str; 3]) -> Fetched {
        let object = |id| json!({ "resource": { "id": id }, "metadata": { "domain": "a.example" } });
        let body = json!({ "results": ids.map(object) }).to_string();
        let page = Page::cut(&Bytes::from(body)).unwrap();
        let covered = Covered::UpTo(ids[2].into());
        Fetched { from: from.into(), covered, page, shown: Some(ids[2].into()), skipped: None }
    }

    #[tokio::test]
    async fn a_limit_cuts_the_last_page_and_nothing_is_pending_then() {
        let mut publisher = limited(5);
        publisher.page(fetched("", ["2222-2222", "2222-2223", "2222-2224"])).await.unwrap();
        assert_eq!((publisher.left(), publisher.cursor().pending.len()), (Some(2), 2));
        publisher.page(fetched("2222-2224", ["2222-2225", "2222-2226", "2222-2227"])).await.unwrap();
        let cursor = publisher.cursor();
        assert_eq!((cursor.objects, cursor.seen["a.example"]), (5, 5));
        assert_eq!(cursor.published[&Kind::Datasets].iter().sum::<u64>(), 5);
        assert_eq!((publisher.left(), &cursor.pending), (Some(0), &Vec::new()));
    }

    #[tokio::test]
    async fn a_stop_is_noted_unless_the_last_commit_is_uncertain() {
        let sent = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (seen, mut publisher) = (std::sync::Arc::clone(&sent), limited(100));
        publisher.sink = Sink::Double(Box::new(move |records, next| {
            seen.lock().unwrap().push(next.stopped.clone().map(|stopped| stopped.error));
            if records.is_empty() { Ok(()) } else { anyhow::bail!("no answer") }
        }));
        publisher.stop(Some("API is down".into())).await.unwrap();
        assert_eq!(publisher.cursor().stopped.as_ref().unwrap().error.as_deref(), Some("API is down"));
        let page = fetched("", ["2222-2222", "2222-2223", "2222-2224"]);
        assert!(publisher.page(page).await.is_err());
        let before = sent.lock().unwrap().len();
        publisher.stop(None).await.unwrap();
        assert_eq!((before, sent.lock().unwrap().len()), (2, 2));
    }

    #[tokio::test]
    async fn a_limit_takes_objects_with_one_id_together() {
        let mut publisher = limited(2);
        publisher.page(fetched("", ["2222-2222", "2222-2223", "2222-2223"])).await.unwrap();
        assert_eq!((publisher.cursor().objects, publisher.left()), (3, Some(0)));
        assert!(publisher.cursor().pending.is_empty());
    }

    #[tokio::test]
    async fn what_was_stepped_over_is_kept_by_its_id_up_to_a_number() {
        let mut publisher = limited(100);
        let page = |skipped| Fetched { skipped: Some(skipped), ..fetched("", ["2222-2222"; 3]) };
        publisher.page(page(Skipped::Object("2222-2224".into()))).await.unwrap();
        publisher.page(page(Skipped::Stretch)).await.unwrap();
        // Two objects of each page repeat the one before them.
        let repeated = "2222-2222";
        assert_eq!(publisher.cursor().unread_ids, ["2222-2224", repeated, repeated, repeated, repeated]);
        assert_eq!((publisher.cursor().skipped, publisher.cursor().unkeyed), (2, 4));

        let mut cursor = publisher.cursor().clone();
        keep_unread(&mut cursor, vec!["2222-2225".to_owned(); 2_000]);
        assert_eq!(cursor.unread_ids.len(), UNREAD_IDS);
        let marker = marker(&Cursor { unkeyed: 2_000, ..cursor }, OffsetDateTime::UNIX_EPOCH, 0);
        assert_eq!(marker.unknown(), 2_002 - 1_000);
    }

    #[tokio::test]
    async fn an_id_that_was_shown_behind_an_interval_is_not_forgotten() {
        let mut publisher = limited(100);
        let page = fetched("", ["2222-2222", "2222-2223", "2222-2224"]);
        publisher.page(Fetched { shown: Some("zzzz-zzzz".into()), ..page }).await.unwrap();
        assert_eq!(publisher.cursor().max_id.as_deref(), Some("zzzz-zzzz"));
    }

    #[tokio::test]
    async fn a_listed_page_counts_and_covers_nothing() {
        let mut publisher = limited(100);
        let pending = publisher.cursor().pending.clone();
        publisher.listed(fetched("", ["z222-2222", "2222-2223", "2222-2224"]).page).await.unwrap();
        let cursor = publisher.cursor();
        assert_eq!((cursor.objects, cursor.next_page, &cursor.max_id), (3, 1, &None));
        assert_eq!(cursor.pending, pending);
    }
}
