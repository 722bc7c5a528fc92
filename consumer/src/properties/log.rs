//! The log of generated runs as a producer writes it, and the same log after compaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use catalog_shared::cursor::{Mode, RunParameters};
use catalog_shared::end_record::EndRecord;
use catalog_shared::key::Key;
use catalog_shared::partition;
use catalog_shared::record::{Content, RecordHeaders, RecordType, Version};
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::generate::{DOMAINS, Missed, Page, Run};
pub(super) use super::generate::{domain, id};
use crate::model::batch::Batch;
use crate::model::record::Record;
use crate::model::topic::{TopicKind, TopicPartition};

pub(super) type Spot = (RecordType, i32);

/// A record, and a summary of the row that it becomes.
#[derive(Clone, Debug)]
pub(super) struct LogRecord {
    pub(super) offset: i64,
    pub(super) stamp: RecordHeaders,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) row_text: String,
    /// Whether the value can't be read.
    pub(super) broken: bool,
    /// Set for an end-of-run record.
    pub(super) end_record: Option<EndRecord>,
}

/// The records of each partition, and its end offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) records: BTreeMap<Spot, Vec<LogRecord>>,
    pub(super) ends: BTreeMap<Spot, i64>,
}

pub(super) fn topic_partition((kind, partition): Spot) -> TopicPartition {
    TopicPartition { kind: TopicKind::Data(kind), topic: Topics::new("").data(kind), partition }
}

impl Log {
    /// The log of these runs in order.
    pub(super) fn of(runs: &[Run]) -> Self {
        let mut writer =
            Writer { partitions: RecordType::ALL.map(|kind| (kind, 1)).into(), ..Writer::default() };
        runs.iter().for_each(|run| writer.run(run));
        writer.log
    }

    pub(super) fn spots(&self) -> Vec<Spot> {
        self.records.keys().copied().collect()
    }

    pub(super) fn received(&self, spot: Spot) -> impl Iterator<Item = Record> {
        self.records[&spot].iter().map(received)
    }

    /// The next records from an offset on, as one batch; an empty one up to the end of the partition if there are none.
    pub(super) fn batch(&self, spot: Spot, from: i64, count: usize) -> Batch {
        let behind = self.records[&spot].iter().filter(|record| record.offset >= from).take(count);
        let mut records: Vec<Record> = behind.map(received).collect();
        let shared = |first: &Record| records.iter().take_while(|next| first.may_share_batch(next)).count();
        records.truncate(records.first().map_or(0, shared));
        let to = records.last().map_or(self.ends[&spot].max(from), |last| last.offset + 1);
        Batch { topic_partition: topic_partition(spot), from, to, records }
    }

    /// The log without some of the records that a later one of the same key and partition supersedes.
    pub(super) fn compacted(&self, dropped: &[bool]) -> Self {
        let mut choices = dropped.iter().copied().cycle();
        let mut compacted = self.clone();
        for records in compacted.records.values_mut() {
            let mut later = HashSet::new();
            let mut kept: Vec<LogRecord> = records.drain(..).rev().collect();
            kept.retain(|record| later.insert(record.key.clone()) || choices.next() == Some(false));
            records.extend(kept.into_iter().rev());
        }
        compacted
    }
}

fn received(record: &LogRecord) -> Record {
    let headers = record.stamp.to_headers();
    let received = Record::read(record.offset, Some(&headers)).unwrap();
    let (key, value) = (record.key.clone().into_bytes(), record.value.clone().into_bytes());
    Record { key: Some(key.into()), value: Some(value.into()), ..received }
}

/// Writes runs like the producer.
#[derive(Default)]
struct Writer {
    log: Log,
    /// The current number of partitions of each topic.
    partitions: BTreeMap<RecordType, i32>,
    /// The last run of each region, and the last that ended.
    last: BTreeMap<Region, (u32, Option<u32>)>,
    clock: i64,
}

struct Writing<'a> {
    run: &'a Run,
    number: u32,
    published: BTreeMap<Spot, u64>,
    written: usize,
}

impl Writer {
    fn run(&mut self, run: &Run) {
        run.grows.and_then(|kind| self.partitions.get_mut(&kind)).into_iter().for_each(|count| *count += 1);
        let (last, previous_ended) = self.last.get(&run.region).copied().unwrap_or_default();
        let number = last + 1;
        self.clock += i64::from(run.pause);
        let started_at = self.now();
        let mut writing = Writing { run, number, published: self.spots(run), written: 0 };
        self.declare(&mut writing);
        for (number, page) in (1..).zip(&run.pages) {
            self.page(&mut writing, number, page);
        }
        if !run.abandoned {
            self.end(&writing, previous_ended, started_at);
        }
        let ended = if run.abandoned || run.passed_over { previous_ended } else { Some(number) };
        self.last.insert(run.region, (number, ended));
    }

    fn spots(&self, run: &Run) -> BTreeMap<Spot, u64> {
        let kinds = self.partitions.iter().filter(|(kind, _)| run.datasets || **kind != RecordType::Datasets);
        kinds.flat_map(|(kind, count)| (0..*count).map(|partition| ((*kind, partition), 0))).collect()
    }

    fn now(&mut self) -> OffsetDateTime {
        self.clock += 1;
        OffsetDateTime::UNIX_EPOCH + Duration::hours(self.clock)
    }

    /// `/domains` is page 0.
    fn declare(&mut self, writing: &mut Writing<'_>) {
        let now = self.now();
        for (domain, count) in listed(writing.run) {
            let value = json!({ "domain": domain, "declared_count": count }).to_string();
            self.publish(
                writing,
                (0, now),
                RecordType::Domains,
                Key::Domain(&domain),
                (value, count.to_string()),
            );
        }
        self.commit();
    }

    fn page(&mut self, writing: &mut Writing<'_>, number: u32, page: &Page) {
        let at = (number, self.now());
        let mut hosts = BTreeMap::new();
        let mut agencies = BTreeSet::new();
        for (asset, content) in page.iter().filter(|(asset, _)| writing.run.finds(**asset)) {
            let (domain, id) = (domain(*asset), id(*asset));
            // Page views change with each run, even if the content does not.
            let views = u64::from(writing.number) * 100 + u64::from(number);
            let name = format!("content {content}");
            let value = json!({
                "resource": { "id": id, "name": name, "page_views": { "page_views_total": views } },
                "metadata": { "domain": domain },
            });
            let row_text = format!("{name}|{name}|{views}");
            let key = Key::Dataset { domain: &domain, id: &id };
            self.publish(writing, at, RecordType::Datasets, key, (value.to_string(), row_text));
            hosts.insert(format!("host.{domain}"), format!("d{content}.example"));
            agencies.insert((format!("host.{domain}"), format!("Roads / Parks {content}")));
        }
        for (host, domain) in hosts {
            let value = json!({ "host": host, "domain": domain }).to_string();
            self.publish(writing, at, RecordType::Hosts, Key::Host(&host), (value, domain));
        }
        for (host, agency) in agencies {
            let value = json!({ "host": host, "agency": agency }).to_string();
            let key = Key::Agency { host: &host, agency: &agency };
            self.publish(writing, at, RecordType::Agencies, key, (value, agency.clone()));
        }
        self.commit();
    }

    fn publish(
        &mut self,
        writing: &mut Writing<'_>,
        (page, observed_at): (u32, OffsetDateTime),
        kind: RecordType,
        key: Key<'_>,
        (value, row_text): (String, String),
    ) {
        let Writing { run, number, .. } = writing;
        if kind == RecordType::Datasets && !run.datasets {
            return;
        }
        let version = Version { run: *number, page };
        let stamp =
            RecordHeaders { content: Content::Record(kind), region: run.region, version, observed_at };
        let key = key.to_text(run.region);
        let spot = (kind, partition::of_key(key.as_bytes(), self.partitions[&kind]));
        *writing.published.entry(spot).or_default() += 1;
        let broken = run.broken == Some(writing.written);
        let value = if broken { "[".to_owned() } else { value };
        if run.lost != Some(writing.written) {
            self.append(spot, LogRecord { offset: 0, stamp, key, value, row_text, broken, end_record: None });
        }
        writing.written += 1;
    }

    fn append(&mut self, spot: Spot, record: LogRecord) {
        let end = self.log.ends.entry(spot).or_default();
        self.log.records.entry(spot).or_default().push(LogRecord { offset: *end, ..record });
        *end += 1;
    }

    /// The end of a transaction takes an offset too.
    fn commit(&mut self) {
        self.log.ends.values_mut().for_each(|end| *end += 1);
    }

    fn end(&mut self, writing: &Writing<'_>, previous_ended: Option<u32>, started_at: OffsetDateTime) {
        let ended_at = self.now();
        let Writing { run, number, published, .. } = writing;
        let version = Version { run: *number, page: u32::try_from(run.pages.len()).unwrap() + 1 };
        let stamp =
            RecordHeaders { content: Content::EndRecord, region: run.region, version, observed_at: ended_at };
        for (spot, count) in published {
            let end_record = EndRecord {
                published: *count,
                ..end_record(writing, previous_ended, (started_at, ended_at))
            };
            let value = serde_json::to_string(&end_record).unwrap();
            let key = Key::EndRecord { run: *number }.to_text(run.region);
            let (row_text, broken, end_record) = (String::new(), false, Some(end_record));
            self.append(*spot, LogRecord { offset: 0, stamp, key, value, row_text, broken, end_record });
        }
        self.commit();
    }
}

fn end_record(
    writing: &Writing<'_>,
    previous_ended: Option<u32>,
    (started_at, ended_at): (OffsetDateTime, OffsetDateTime),
) -> EndRecord {
    let Writing { run, number, published, .. } = writing;
    let mut partitions: BTreeMap<RecordType, i32> = BTreeMap::new();
    published.keys().for_each(|(kind, _)| *partitions.entry(*kind).or_default() += 1);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let assets = run.pages.iter().flatten().map(|(asset, _)| *asset).filter(|asset| run.finds(*asset));
    assets.for_each(|asset| *seen.entry(domain(asset)).or_default() += 1);
    let parameters = RunParameters {
        mode: run.mode,
        kinds: partitions.keys().copied().collect(),
        limit: (run.mode == Mode::Part && run.only.is_none()).then_some(7),
        // A person may write the domain in another case.
        domains: run.only.iter().map(|only| domain(*only).to_uppercase()).collect(),
        ..RunParameters::full()
    };
    let missed = catalog_shared::missed::Missed {
        unkeyed: u64::from(run.missed != Missed::Nothing),
        bad_domains: u64::from(run.missed == Missed::Entry),
        unkeyed_by: if let Missed::Of(of) = run.missed { [(domain(of), 1)].into() } else { BTreeMap::new() },
        unread_ids: if let Missed::Asset(asset) = run.missed { vec![id(asset)] } else { Vec::new() },
        ..Default::default()
    };
    EndRecord {
        run: *number,
        parameters,
        previous_ended,
        started_at,
        ended_at,
        partitions,
        published: 0,
        pages: 0,
        objects: 0,
        missed,
        declared: listed(run).map(|(domain, count)| (domain, count.into())).collect(),
        seen,
    }
}

/// The domains that `/domains` lists, each with a count.
fn listed(run: &Run) -> impl Iterator<Item = (String, u8)> {
    let counts = (0..DOMAINS).zip(run.declared).filter(|(of, _)| run.finds(*of));
    counts.filter_map(|(of, count)| Some((domain(of), count?)))
}
