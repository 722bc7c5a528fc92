//! I6, a property of generated catalogs and lives: however often a producer is killed, before or after the
//! commit of whatever transaction, and however the rest is cut by the next one, the run that ends has
//! published each page exactly once.
//!
//! `PROPTEST_CASES` sets how many are generated. The seeds of cases that failed are in `proptest-regressions/`,
//! and are tried first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use bytes::Bytes;
use catalog_shared::cursor::{Cursor, Interval, Mode, RunState, Shape};
use catalog_shared::marker::Marker;
use catalog_shared::record::{Content, Kind, Stamp};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use crate::api::parse;
use crate::crawl::answer::Answer;
use crate::crawl::next_page::NextPage;
use crate::crawl::page_size::PageSize;
use crate::model::domains::Domains;
use crate::model::idspace;
use crate::model::outgoing::Outgoing;
use crate::model::page::Page;
use crate::publish::Publisher;
use crate::publish::sink::Sink;
use crate::run::lane_page::Covered;
use crate::run::plan::plan;
use crate::run::request::CrawlRequest;
use crate::run::{Run, lifecycle};

/// What a region has, what is asked for, and the processes that crawl it one after the other.
#[derive(Clone, Debug)]
struct Case {
    /// Each with the number of domains that have an object with it.
    ids: BTreeMap<String, usize>,
    /// How many objects without an id lie behind the last one.
    nameless: usize,
    /// Behind which of them a part begins.
    from: Option<Index>,
    limit: Option<u64>,
    lives: Vec<Life>,
}

/// A process.
#[derive(Clone, Debug)]
struct Life {
    restart: bool,
    lanes: u16,
    page_size: u16,
    /// Which lane has the next page.
    turns: Vec<Index>,
    /// It is killed at this transaction.
    dies_at: usize,
    /// Whether the transaction is committed all the same.
    commits: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let id = "[2-9a-km-z]{4}-[2-9a-km-z]{4}";
    // Some that lie close together, some where lanes are cut, and some that are no numbers.
    let id = prop_oneof![
        4 => id,
        4 => "m222-22[2-9][2-9]",
        2 => "[aeimsw]222-2222",
        1 => "[A-Z]{4}-[a-z]{4}:draft",
    ];
    let domains = prop_oneof![3 => Just(1_usize), 1 => 2..7_usize];
    let ids = prop::collection::btree_map(id, domains, 0..40);
    let from = prop::option::weighted(0.2, any::<Index>());
    let limit = prop::option::weighted(0.2, 0..30_u64);
    (ids, 0..4_usize, from, limit, prop::collection::vec(life(), 1..8))
        .prop_map(|(ids, nameless, from, limit, lives)| Case { ids, nameless, from, limit, lives })
}

fn life() -> impl Strategy<Value = Life> {
    let size = select(vec![2_u16, 3, 10]);
    let turns = prop::collection::vec(any::<Index>(), 1..6);
    (prop::bool::weighted(0.1), 1..5_u16, size, turns, 0..10_usize, any::<bool>()).prop_map(
        |(restart, lanes, page_size, turns, dies_at, commits)| Life {
            restart,
            lanes,
            page_size,
            turns,
            dies_at,
            commits,
        },
    )
}

/// What Kafka holds: the records of each transaction, and the last cursor.
#[derive(Default)]
struct Kafka {
    transactions: Vec<Vec<Outgoing>>,
    cursor: Option<Cursor>,
}

/// What takes what a process writes, until it is killed.
fn sink(kafka: &Arc<Mutex<Kafka>>, dies_at: Option<(usize, bool)>) -> Sink {
    let kafka = Arc::clone(kafka);
    let mut count = 0;
    Sink::Mock(Box::new(move |records, cursor| {
        let dies = dies_at.filter(|(at, _)| *at == count);
        count += 1;
        if dies.is_none_or(|(_, commits)| commits) {
            let mut kafka = kafka.lock().unwrap();
            kafka.transactions.push(records);
            kafka.cursor = Some(cursor.clone());
        }
        dies.map_or(Ok(()), |_| bail!("killed"))
    }))
}

impl Case {
    fn shape(&self) -> Shape {
        let from = self.from.filter(|_| !self.ids.is_empty());
        let from = from.map(|index| self.ids.keys().nth(index.index(self.ids.len())).unwrap().clone());
        let is_part = from.is_some() || self.limit.is_some();
        Shape {
            mode: if is_part { Mode::Part } else { Mode::Full },
            kinds: Kind::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit: self.limit,
            domains: Vec::new(),
            from,
        }
    }

    /// What a run is to publish.
    fn wanted(&self) -> Vec<String> {
        let from = self.shape().from.unwrap_or_default();
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        let mut wanted = Vec::new();
        for (id, domains) in self.ids.iter().filter(|(id, _)| **id > from) {
            // A limit takes the objects with one id together.
            if wanted.len() < limit {
                wanted.extend((0..*domains).map(|place| format!("us/{}/{id}", domain(place))));
            }
        }
        wanted.sort();
        wanted
    }

    /// The minimum number of dead letters: the objects without an id, as far as a limit allows. Lanes that end at the
    /// same id, and resumed runs, may publish them again.
    fn wanted_dead(&self) -> usize {
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        self.nameless.min(limit.saturating_sub(self.wanted().len()))
    }

    /// The API's answer.
    fn page(&self, after: &str, size: u16) -> Page {
        let behind = self.ids.iter().filter(|(id, _)| id.as_str() > after);
        let object =
            |id: &String, place| json!({ "resource": { "id": id }, "metadata": { "domain": domain(place) } });
        let objects = behind.flat_map(|(id, domains)| (0..*domains).map(move |place| object(id, place)));
        let all = objects.chain(vec![json!({}); self.nameless]);
        let results: Vec<_> = all.take(size.into()).collect();
        parse::page(&Bytes::from(json!({ "results": results }).to_string())).unwrap()
    }

    /// Crawls as far as this life goes; without an end to it to the end of the run.
    async fn live(&self, kafka: &Arc<Mutex<Kafka>>, life: &Life, is_last: bool) -> anyhow::Result<()> {
        let restart = life.restart && !is_last;
        let request =
            CrawlRequest { region: Region::Us, shape: self.shape(), since: None, restart, first_run: 1 };
        let partitions = BTreeMap::from(Kind::ALL.map(|kind| (kind, 2)));
        let last = kafka.lock().unwrap().cursor.clone();
        let mut cursor = plan(&request, last)?.claim(&request, "owner", &partitions)?;
        cursor.pending = idspace::split(cursor.pending.clone(), lifecycle::lanes(&cursor, life.lanes));
        let mut sink = sink(kafka, (!is_last).then_some((life.dies_at, life.commits)));
        sink.commit(Vec::new(), &cursor).await?;
        let mut publisher = Publisher::new(sink, Run::new(Topics::new(""), cursor));
        if publisher.cursor().next_page == 0 {
            let declared = BTreeMap::from([("a.example".into(), 7)]);
            publisher.domains(Domains { declared, unreadable: Vec::new() }).await?;
        }
        self.crawl(&mut publisher, life).await?;
        publisher.end().await
    }

    async fn crawl(&self, publisher: &mut Publisher, life: &Life) -> anyhow::Result<()> {
        let mut lanes = publisher.cursor().pending.clone();
        let mut turns = life.turns.iter().cycle();
        while !lanes.is_empty() && publisher.remaining() != Some(0) {
            let lane = turns.next().context("there is at least one")?.index(lanes.len());
            let after = lanes[lane].after.clone();
            let next = self.answer(&lanes[lane], life.page_size).within(&lanes[lane], &after);
            match next.page.as_ref().map(|page| page.covered.clone()) {
                Some(Covered::UpTo(id)) if !next.is_end => lanes[lane].after = id,
                _ => drop(lanes.remove(lane)),
            }
            if let Some(page) = next.page {
                publisher.lane_page(page).await?;
            }
        }
        Ok(())
    }

    fn answer(&self, interval: &Interval, page_size: u16) -> Answer {
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

/// The transactions of a run, each with the one stamp of all its records.
fn transactions(kafka: &Kafka, run: u32) -> Vec<(Stamp, &[Outgoing])> {
    let stamp = |records: &[Outgoing]| {
        let mut stamps = records.iter().map(|record| Stamp::from_headers(Some(&*record.headers)).unwrap());
        let first = stamps.next()?;
        assert!(stamps.all(|stamp| stamp.version == first.version), "a transaction of two pages");
        Some(first)
    };
    let stamped = kafka.transactions.iter().filter_map(|records| Some((stamp(records)?, records.as_slice())));
    stamped.filter(|(stamp, _)| stamp.version.run == run).collect()
}

fn check(case: &Case, kafka: &Kafka) {
    let cursor = kafka.cursor.as_ref().unwrap();
    assert_eq!((cursor.state, cursor.pending.len()), (RunState::Ended, 0));
    let all = transactions(kafka, cursor.run);
    let pages: Vec<u32> = all.iter().map(|(stamp, _)| stamp.version.page).collect();
    assert!(
        pages.iter().copied().eq(0..cursor.next_page + 1),
        "pages {pages:?}, and next {}",
        cursor.next_page
    );

    let (markers, pages): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(stamp, _)| stamp.content == Content::Marker);
    let records: Vec<&Outgoing> = pages.iter().flat_map(|(_, records)| *records).collect();
    let mut ids: Vec<String> = records
        .iter()
        .filter(|record| &*record.topic == "datasets")
        .map(|record| record.key.clone())
        .collect();
    ids.sort();
    // Each once, for equal keys are none of these.
    assert_eq!(ids, case.wanted());
    let dead = records.iter().filter(|record| &*record.topic == "dead-letters").count();
    assert!(dead >= case.wanted_dead(), "{dead} of {}", case.wanted_dead());
    assert_eq!(cursor.unkeyed, dead as u64);

    let markers: Vec<&Outgoing> = markers.iter().flat_map(|(_, records)| *records).collect();
    let places: BTreeSet<_> = markers.iter().map(|marker| (&marker.topic, marker.partition)).collect();
    assert_eq!((markers.len(), places.len()), (8, 8));
    for marker in markers {
        let is_there =
            |record: &&&Outgoing| (&record.topic, record.partition) == (&marker.topic, marker.partition);
        let said: Marker = serde_json::from_slice(&marker.value).unwrap();
        assert_eq!(said.published, records.iter().filter(is_there).count() as u64, "{}", marker.topic);
        assert_eq!(said.objects, (ids.len() + dead) as u64);
    }
}

proptest! {
    #[test]
    fn a_producer_killed_anywhere_publishes_each_page_once(case in case()) {
        let kafka = Arc::new(Mutex::new(Kafka::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (number, life) in (1..).zip(&case.lives) {
            let is_last = number == case.lives.len();
            let lived = runtime.block_on(case.live(&kafka, life, is_last));
            if let Err(error) = lived {
                prop_assert!(error.to_string() == "killed", "{error:#}");
            }
            let has_ended = kafka.lock().unwrap().cursor.as_ref().is_some_and(|c| c.state == RunState::Ended);
            // The next one would begin another run.
            if has_ended {
                break;
            }
            prop_assert!(!is_last);
        }
        check(&case, &kafka.lock().unwrap());
    }
}
