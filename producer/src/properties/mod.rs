//! Property test of invariant I6 with generated catalogs and processes: however often a producer is killed, before or after
//! the commit of any transaction, and however the next one splits the rest, the ended run has published each page exactly
//! once.
//!
//! `PROPTEST_CASES` sets the number of cases. The seeds of failed cases are in `proptest-regressions/` and run first.

mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use bytes::Bytes;
use catalog_shared::cursor::{Cursor, Interval, Mode, RunParameters, RunState};
use catalog_shared::end_record::EndRecord;
use catalog_shared::record::{Content, RecordHeaders, RecordType};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use proptest::prelude::*;
use serde_json::json;

use crate::api::parse;
use crate::crawl::next_page::NextPage;
use crate::crawl::page_outcome::PageOutcome;
use crate::crawl::page_size::PageSize;
use crate::model::domains::Domains;
use crate::model::idspace;
use crate::model::outgoing::Outgoing;
use crate::model::page::Page;
use crate::properties::generate::{Case, Process, case};
use crate::publish::Publisher;
use crate::publish::sink::Sink;
use crate::run::lane_page::Covered;
use crate::run::plan::plan;
use crate::run::request::CrawlRequest;
use crate::run::{Run, lifecycle};

/// The content of Kafka: the records of each transaction, and the last cursor.
#[derive(Default)]
struct Kafka {
    transactions: Vec<Vec<Outgoing>>,
    cursor: Option<Cursor>,
}

/// A sink that accepts commits until the process is killed.
fn sink(kafka: &Arc<Mutex<Kafka>>, killed_at: Option<(usize, bool)>) -> Sink {
    let kafka = Arc::clone(kafka);
    let mut count = 0;
    Sink::Mock(Box::new(move |records, cursor| {
        let killed = killed_at.filter(|(at, _)| *at == count);
        count += 1;
        if killed.is_none_or(|(_, is_committed)| is_committed) {
            let mut kafka = kafka.lock().unwrap();
            kafka.transactions.push(records);
            kafka.cursor = Some(cursor.clone());
        }
        killed.map_or(Ok(()), |_| bail!("killed"))
    }))
}

impl Case {
    fn parameters(&self) -> RunParameters {
        let from = self.from.filter(|_| !self.ids.is_empty());
        let from = from.map(|index| self.ids.keys().nth(index.index(self.ids.len())).unwrap().clone());
        let is_part = from.is_some() || self.limit.is_some();
        RunParameters {
            mode: if is_part { Mode::Part } else { Mode::Full },
            limit: self.limit,
            from,
            ..RunParameters::full()
        }
    }

    /// The keys that a run must publish.
    fn expected(&self) -> Vec<String> {
        let from = self.parameters().from.unwrap_or_default();
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        let mut expected = Vec::new();
        for (id, domains) in self.ids.iter().filter(|(id, _)| **id > from) {
            // A limit takes the objects with one id together.
            if expected.len() < limit {
                expected.extend((0..*domains).map(|place| format!("us/{}/{id}", domain(place))));
            }
        }
        expected.sort();
        expected
    }

    /// The minimum number of dead letters: the objects without an id, as far as a limit allows. Lanes that end at the
    /// same id, and resumed runs, may publish them again.
    fn min_dead_letters(&self) -> usize {
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        self.without_id.min(limit.saturating_sub(self.expected().len()))
    }

    /// The API's answer.
    fn page(&self, after: &str, size: u16) -> Page {
        let behind = self.ids.iter().filter(|(id, _)| id.as_str() > after);
        let object =
            |id: &String, place| json!({ "resource": { "id": id }, "metadata": { "domain": domain(place) } });
        let objects = behind.flat_map(|(id, domains)| (0..*domains).map(move |place| object(id, place)));
        let all = objects.chain(vec![json!({}); self.without_id]);
        let results: Vec<_> = all.take(size.into()).collect();
        parse::page(&Bytes::from(json!({ "results": results }).to_string())).unwrap()
    }

    /// Crawls until this process is killed. The last one crawls to the end of the run.
    async fn run_process(
        &self,
        kafka: &Arc<Mutex<Kafka>>,
        process: &Process,
        is_last: bool,
    ) -> anyhow::Result<()> {
        let restart = process.restart && !is_last;
        let request = CrawlRequest {
            region: Region::Us,
            parameters: self.parameters(),
            since: None,
            full_since: None,
            restart,
            first_run: 1,
        };
        let partitions = BTreeMap::from(RecordType::ALL.map(|kind| (kind, 2)));
        let last = kafka.lock().unwrap().cursor.clone();
        let mut cursor = plan(&request, last)?.into_cursor(&request, "owner", &partitions)?;
        cursor.pending = idspace::split(cursor.pending.clone(), lifecycle::lanes(&cursor, process.lanes));
        let mut sink = sink(kafka, (!is_last).then_some((process.killed_at, process.is_committed)));
        sink.commit(Vec::new(), &cursor).await?;
        let mut publisher = Publisher::new(sink, Run::new(Topics::new(""), cursor));
        if publisher.cursor().next_page == 0 {
            let declared = BTreeMap::from([("a.example".into(), 7)]);
            publisher.domains(Domains { declared, unreadable: Vec::new() }).await?;
        }
        self.crawl(&mut publisher, process).await?;
        publisher.end().await
    }

    async fn crawl(&self, publisher: &mut Publisher, process: &Process) -> anyhow::Result<()> {
        let mut lanes = publisher.cursor().pending.clone();
        let mut lane_order = process.lane_order.iter().cycle();
        let mut sizes = process.waiting.iter().cycle();
        let mut size = sizes.next().context("there is at least one")?;
        let mut waiting = Vec::new();
        while !lanes.is_empty() && lifecycle::remaining(publisher.cursor()) != Some(0) {
            let lane = lane_order.next().context("there is at least one")?.index(lanes.len());
            let after = lanes[lane].after.clone();
            let next = self.answer(&lanes[lane], process.page_size).within(&lanes[lane], &after);
            match next.page.as_ref().map(|page| page.covered.clone()) {
                Some(Covered::UpTo(id)) if !next.is_end => lanes[lane].after = id,
                _ => drop(lanes.remove(lane)),
            }
            waiting.extend(next.page);
            if waiting.len() == *size || lanes.is_empty() {
                publisher.lane_pages(std::mem::take(&mut waiting)).await?;
                size = sizes.next().context("there is at least one")?;
            }
        }
        Ok(())
    }

    fn answer(&self, interval: &Interval, page_size: u16) -> PageOutcome {
        let size = PageSize::new(page_size, page_size);
        let mut next = NextPage::new(&size, interval);
        loop {
            if let Some(answer) = next.received(self.page(&interval.after, next.request().size)) {
                return answer;
            }
        }
    }
}

fn domain(place: usize) -> String {
    format!("{}.example", char::from(b"abcdefgh"[place]))
}

fn stamp(record: &Outgoing) -> RecordHeaders {
    RecordHeaders::from_headers(Some(&*record.headers)).unwrap()
}

/// The pages of a run in the order of the transactions, each with the stamp of its first record. A page in two
/// transactions is listed twice.
fn pages(kafka: &Kafka, run: u32) -> Vec<(RecordHeaders, &[Outgoing])> {
    let pages = kafka.transactions.iter().flat_map(|records| {
        let pages = records.chunk_by(|one, next| stamp(one).version == stamp(next).version);
        pages.map(|page| (stamp(&page[0]), page))
    });
    pages.filter(|(stamp, _)| stamp.version.run == run).collect()
}

fn check(case: &Case, kafka: &Kafka) {
    let cursor = kafka.cursor.as_ref().unwrap();
    assert_eq!((cursor.state, cursor.pending.len()), (RunState::Ended, 0));
    let all = pages(kafka, cursor.run);
    let numbers: Vec<u32> = all.iter().map(|(stamp, _)| stamp.version.page).collect();
    assert!(
        numbers.iter().copied().eq(0..cursor.next_page + 1),
        "pages {numbers:?}, and next {}",
        cursor.next_page
    );

    let (end_records, pages): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(stamp, _)| stamp.content == Content::EndRecord);
    let records: Vec<&Outgoing> = pages.iter().flat_map(|(_, records)| *records).collect();
    let mut ids: Vec<String> = records
        .iter()
        .filter(|record| &*record.topic == "datasets")
        .map(|record| record.key.clone())
        .collect();
    ids.sort();
    // Each exactly once.
    assert_eq!(ids, case.expected());
    let dead = records.iter().filter(|record| &*record.topic == "dead-letters").count();
    assert!(dead >= case.min_dead_letters(), "{dead} of {}", case.min_dead_letters());
    assert_eq!(cursor.missed.unkeyed, dead as u64);

    let end_records: Vec<&Outgoing> = end_records.iter().flat_map(|(_, records)| *records).collect();
    check_end_records(&end_records, &records, ids.len() + dead);
}

/// There is an end-of-run record on each partition, with the number of its records and that of all objects.
fn check_end_records(end_records: &[&Outgoing], records: &[&Outgoing], objects: usize) {
    let partitions: BTreeSet<_> =
        end_records.iter().map(|record| (&record.topic, record.partition)).collect();
    assert_eq!((end_records.len(), partitions.len()), (8, 8));
    for end_record in end_records {
        let is_on_partition = |record: &&&Outgoing| {
            (&record.topic, record.partition) == (&end_record.topic, end_record.partition)
        };
        let content: EndRecord = serde_json::from_slice(&end_record.value).unwrap();
        assert_eq!(
            content.published,
            records.iter().filter(is_on_partition).count() as u64,
            "{}",
            end_record.topic
        );
        assert_eq!(content.objects, objects as u64);
    }
}

proptest! {
    #[test]
    fn a_producer_killed_anywhere_publishes_each_page_once(case in case()) {
        let kafka = Arc::new(Mutex::new(Kafka::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (number, process) in (1..).zip(&case.processes) {
            let is_last = number == case.processes.len();
            let ended = runtime.block_on(case.run_process(&kafka, process, is_last));
            if let Err(error) = ended {
                prop_assert!(error.to_string() == "killed", "{error:#}");
            }
            let has_ended = kafka.lock().unwrap().cursor.as_ref().is_some_and(|c| c.state == RunState::Ended);
            // The next one would start another run.
            if has_ended {
                break;
            }
            prop_assert!(!is_last);
        }
        check(&case, &kafka.lock().unwrap());
    }
}
