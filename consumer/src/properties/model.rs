//! A short model of the expected tables and ledger: the newest record of each key, and the delivered part of each
//! partition.

use std::collections::{BTreeMap, BTreeSet};

use catalog_shared::cursor::{Coverage, Mode};
use catalog_shared::decision::LedgerState;
use catalog_shared::end_record::EndRecord;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use time::{Duration, OffsetDateTime};

use super::log::{Log, LogRecord, Spot};
use super::tables::{Accepted, Count, Row, Shields};

/// The delivered part of a log: up to an offset of each partition.
pub(super) struct Model<'a> {
    pub(super) log: &'a Log,
    pub(super) delivered: &'a BTreeMap<Spot, i64>,
}

/// The expected result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// An end-of-run record is missing.
    Open,
    /// A later run records that this one never ended.
    Abandoned,
    /// It covers no domain, so it retires nothing.
    Ended,
    /// A crawl of the catalog or of complete domains, of which every record has arrived.
    Good,
    /// Like `Good`, but records are missing and their domains are unknown.
    Bad,
}

impl Fate {
    /// The states that the tables may store, given a manual decision, whether a later balanced run covers the run, and
    /// whether strict thresholds may put any run on hold.
    pub(super) fn states(
        self,
        decided: Option<LedgerState>,
        passed: bool,
        strict: bool,
    ) -> Vec<&'static str> {
        let held = if passed { "superseded" } else { "held" };
        match (self, decided) {
            (Self::Bad | Self::Good, Some(decision)) => vec![decision.name()],
            (Self::Open, _) => vec!["open"],
            // It stays open until the next end-of-run record arrives if its first record came after the last one.
            (Self::Abandoned, _) => vec!["abandoned", "open"],
            (Self::Ended, _) => vec!["ended"],
            (Self::Good, None) if strict => vec!["balanced", held],
            (Self::Good, None) => vec!["balanced"],
            (Self::Bad, None) => vec![held],
        }
    }
}

pub(super) type RunId = (Region, u32);

impl Model<'_> {
    fn records(&self) -> impl Iterator<Item = (Spot, &LogRecord)> {
        self.log.records.iter().flat_map(|(spot, records)| {
            let end = self.delivered.get(spot).copied().unwrap_or_default();
            records.iter().take_while(move |record| record.offset < end).map(move |record| (*spot, record))
        })
    }

    /// The expected rows: the newest record of each key.
    pub(super) fn rows(&self, accepted: &Accepted) -> BTreeSet<Row> {
        let mut newest: BTreeMap<(RecordType, &str), &LogRecord> = BTreeMap::new();
        for ((kind, _), record) in
            self.records().filter(|(_, record)| record.end_record.is_none() && !record.broken)
        {
            let held = newest.entry((kind, &record.key)).or_insert(record);
            if held.stamp.version <= record.stamp.version {
                *held = record;
            }
        }
        let row = |((kind, key), record): ((RecordType, &str), &LogRecord)| Row {
            kind: kind.name().to_owned(),
            key: key.to_owned(),
            run: record.stamp.version.run.into(),
            page: record.stamp.version.page.into(),
            observed_at: record.stamp.observed_at,
            row_text: record.row_text.clone(),
            retired_at: if kind == RecordType::Datasets { self.retired_at(record, accepted) } else { None },
        };
        newest.into_iter().map(row).collect()
    }

    /// The end of the first accepted later run of the region that covers the domain and does not shield it.
    fn retired_at(&self, record: &LogRecord, accepted: &Accepted) -> Option<OffsetDateTime> {
        let (region, seen) = (record.stamp.region, record.stamp.version.run);
        let domain = record.key.split('/').nth(1)?;
        let retires = |((of, run), shields): &(&RunId, &Shields)| {
            let is_kept =
                shields.get(domain).is_some_and(|confirmed| confirmed.is_none_or(|below| seen >= below));
            *of == region && *run > seen && !is_kept && self.covers((region, *run), domain)
        };
        let (run, _) = accepted.iter().find(retires)?;
        Some(self.end_record(*run)?.ended_at)
    }

    /// Whether a run covers a domain. A full run covers the domains that it or an earlier full run listed or saw.
    fn covers(&self, run: RunId, domain: &str) -> bool {
        match self.end_record(run).map(|end_record| end_record.parameters.coverage()) {
            Some(Coverage::Full) => self.first_run(run.0, domain).is_some_and(|first| first <= run.1),
            Some(Coverage::Domains(domains)) => domains.contains(domain),
            Some(Coverage::None) | None => false,
        }
    }

    fn first_run(&self, region: Region, domain: &str) -> Option<u32> {
        let of_region = self.records().filter(|(_, record)| record.stamp.region == region);
        let end_records = of_region.filter_map(|(_, record)| record.end_record.as_ref());
        let names = |end_record: &&EndRecord| {
            let is_named = end_record.declared.contains_key(domain) || end_record.seen.contains_key(domain);
            end_record.parameters.mode == Mode::Full && is_named
        };
        end_records.filter(names).map(|end_record| end_record.run).min()
    }

    /// Whether a run covers everything that another one covers.
    pub(super) fn covers_all_of(&self, run: RunId, other: RunId) -> bool {
        let coverage = |run| self.end_record(run).map(|end_record| end_record.parameters.coverage());
        match (coverage(run), coverage(other)) {
            (Some(Coverage::Full), Some(Coverage::Full)) => true,
            (Some(_), Some(Coverage::Domains(domains))) => {
                domains.iter().all(|domain| self.covers(run, domain))
            }
            _ => false,
        }
    }

    /// The domains that a run must shield: those with an unreadable object of this run.
    pub(super) fn must_shield(&self, run: RunId) -> BTreeSet<String> {
        let of_run = |record: &&LogRecord| (record.stamp.region, record.stamp.version.run) == run;
        let datasets = self.records().filter(|((kind, _), _)| *kind == RecordType::Datasets);
        let broken = datasets.map(|(_, record)| record).filter(of_run).filter(|record| record.broken);
        let dead = broken.filter_map(|record| record.key.split('/').nth(1).map(str::to_owned));
        let unkeyed = self
            .end_record(run)
            .into_iter()
            .flat_map(|end_record| end_record.missed.unkeyed_by.keys().cloned());
        let is_judged =
            |domain: &String| match self.end_record(run).map(|end_record| end_record.parameters.coverage()) {
                Some(Coverage::Domains(domains)) => domains.contains(domain),
                coverage => coverage == Some(Coverage::Full),
            };
        dead.chain(unkeyed).filter(is_judged).collect()
    }

    /// Whether a run may confirm the absences in a domain since an earlier run.
    pub(super) fn may_confirm(&self, run: RunId, domain: &str, first: u32) -> bool {
        let first = (run.0, first);
        let (Some(last_end), Some(first_end)) = (self.end_record(run), self.end_record(first)) else {
            return false;
        };
        let lasted = last_end.ended_at - first_end.ended_at;
        let are_full =
            [last_end, first_end].iter().all(|end_record| end_record.parameters.coverage() == Coverage::Full);
        are_full && first < run && lasted >= Duration::days(2) && self.covers(first, domain)
    }

    fn end_record(&self, run: RunId) -> Option<&EndRecord> {
        self.end_records(run).find_map(|(_, record)| record.end_record.as_ref())
    }

    fn end_records(&self, (region, run): RunId) -> impl Iterator<Item = (Spot, &LogRecord)> {
        self.records().filter(move |(_, record)| {
            record.end_record.is_some() && (record.stamp.region, record.stamp.version.run) == (region, run)
        })
    }

    /// The expected ledger: for each run and partition the number of applied, dead and published records.
    pub(super) fn ledger(&self) -> BTreeSet<Count> {
        let mut counts: BTreeMap<(RunId, Spot), Count> = BTreeMap::new();
        for ((kind, partition), record) in self.records() {
            let (region, run) = (record.stamp.region, record.stamp.version.run);
            let count = counts.entry(((region, run), (kind, partition))).or_insert_with(|| Count {
                region: region.name().to_owned(),
                run: i64::from(run),
                topic: kind.name().to_owned(),
                partition,
                applied: 0,
                dead: 0,
                published: None,
            });
            match &record.end_record {
                Some(end_record) => count.published = Some(i64::try_from(end_record.published).unwrap()),
                None if record.broken => count.dead += 1,
                None => count.applied += 1,
            }
        }
        counts.into_values().collect()
    }

    pub(super) fn dead_letters(&self) -> BTreeSet<(String, i32, i64)> {
        let broken = self.records().filter(|(_, record)| record.broken);
        broken.map(|((kind, partition), record)| (kind.name().to_owned(), partition, record.offset)).collect()
    }

    /// The expected result of every run with a delivered record.
    pub(super) fn fates(&self) -> BTreeMap<RunId, Fate> {
        let runs: BTreeSet<RunId> =
            self.records().map(|(_, record)| (record.stamp.region, record.stamp.version.run)).collect();
        runs.into_iter().map(|id| (id, self.fate(id))).collect()
    }

    fn fate(&self, (region, run): RunId) -> Fate {
        let end_records: Vec<_> = self.end_records((region, run)).collect();
        let unended = if self.is_passed_over((region, run)) { Fate::Abandoned } else { Fate::Open };
        let Some(end_record) = end_records.first().and_then(|(_, record)| record.end_record.as_ref()) else {
            return unended;
        };
        let of_run = |count: &Count| count.region == region.name() && count.run == i64::from(run);
        let is_fine = |count: &Count| count.published == Some(count.applied + count.dead);
        if end_records.len() < usize::try_from(end_record.partitions.values().sum::<i32>()).unwrap() {
            unended
        } else if end_record.parameters.coverage() == Coverage::None {
            Fate::Ended
        } else if end_record.missed.unknown() == 0
            && self.ledger().iter().filter(|count| of_run(count)).all(is_fine)
        {
            Fate::Good
        } else {
            Fate::Bad
        }
    }

    /// Whether a later end-of-run record shows that this run never ended.
    fn is_passed_over(&self, (region, run): RunId) -> bool {
        self.records().filter(|(_, record)| record.stamp.region == region).any(|(_, record)| {
            let passes = |end_record: &EndRecord| {
                end_record.run > run && end_record.previous_ended.is_none_or(|ended| ended < run)
            };
            record.end_record.as_ref().is_some_and(passes)
        })
    }
}
