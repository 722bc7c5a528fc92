//! What the tables and the books should say, told in a few lines: of each key the newest record, and of each
//! partition what was delivered of it.

use std::collections::{BTreeMap, BTreeSet};

use catalog_shared::cursor::{Coverage, Mode};
use catalog_shared::end_record::EndRecord;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::verdict::Decision;
use time::{Duration, OffsetDateTime};

use super::log::{Log, LogRecord, Spot};
use super::tables::{Accepted, Count, Row, Shields};

/// The log as far as it was delivered: up to an offset of each partition.
pub(super) struct Model<'a> {
    pub(super) log: &'a Log,
    pub(super) delivered: &'a BTreeMap<Spot, i64>,
}

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A marker is missing.
    Open,
    /// A later run says that it never ended.
    Abandoned,
    /// It retires nothing, whatever it saw.
    Ended,
    /// A crawl of the whole catalog or of whole domains, of which all has arrived.
    Good,
    /// One of which something is missing, and nobody knows in which domains.
    Bad,
}

impl Fate {
    /// What the tables may say of it, where a person has decided so, a later run of the region is balanced, and
    /// strict limits may hold any run.
    pub(super) fn states(self, decided: Option<Decision>, passed: bool, strict: bool) -> Vec<&'static str> {
        let held = if passed { "superseded" } else { "held" };
        match (self, decided) {
            (Self::Bad | Self::Good, Some(decision)) => vec![decision.name()],
            (Self::Open, _) => vec!["open"],
            // Until the next marker arrives, if the first of its own records came after the last one.
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

    /// The newest record of each key makes its row.
    pub(super) fn rows(&self, accepted: &Accepted) -> BTreeSet<Row> {
        let mut newest: BTreeMap<(RecordType, &str), &LogRecord> = BTreeMap::new();
        for ((kind, _), record) in
            self.records().filter(|(_, record)| record.marker.is_none() && !record.broken)
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
            says: record.says.clone(),
            retired_at: if kind == RecordType::Datasets { self.retired_at(record, accepted) } else { None },
        };
        newest.into_iter().map(row).collect()
    }

    /// The end of the first accepted run of the region behind the one that saw it last, which covers its domain
    /// and does not shield it.
    fn retired_at(&self, record: &LogRecord, accepted: &Accepted) -> Option<OffsetDateTime> {
        let (region, seen) = (record.stamp.region, record.stamp.version.run);
        let domain = record.key.split('/').nth(1)?;
        let retires = |((of, run), shields): &(&RunId, &Shields)| {
            let is_kept =
                shields.get(domain).is_some_and(|confirmed| confirmed.is_none_or(|below| seen >= below));
            *of == region && *run > seen && !is_kept && self.covers((region, *run), domain)
        };
        let (run, _) = accepted.iter().find(retires)?;
        Some(self.marker(*run)?.ended_at)
    }

    /// A full run covers what it or a full run before it listed or saw.
    fn covers(&self, run: RunId, domain: &str) -> bool {
        match self.marker(run).map(|marker| marker.shape.coverage()) {
            Some(Coverage::Full) => self.first_run(run.0, domain).is_some_and(|first| first <= run.1),
            Some(Coverage::Domains(domains)) => domains.contains(domain),
            Some(Coverage::None) | None => false,
        }
    }

    fn first_run(&self, region: Region, domain: &str) -> Option<u32> {
        let of_region = self.records().filter(|(_, record)| record.stamp.region == region);
        let markers = of_region.filter_map(|(_, record)| record.marker.as_ref());
        let names = |marker: &&EndRecord| {
            let is_named = marker.declared.contains_key(domain) || marker.seen.contains_key(domain);
            marker.shape.mode == Mode::Full && is_named
        };
        markers.filter(names).map(|marker| marker.run).min()
    }

    /// Whether a run covers all that another one covers.
    pub(super) fn covers_all_of(&self, run: RunId, other: RunId) -> bool {
        let coverage = |run| self.marker(run).map(|marker| marker.shape.coverage());
        match (coverage(run), coverage(other)) {
            (Some(Coverage::Full), Some(Coverage::Full)) => true,
            (Some(_), Some(Coverage::Domains(domains))) => {
                domains.iter().all(|domain| self.covers(run, domain))
            }
            _ => false,
        }
    }

    /// The domains that a run must shield: those where an object of it is known to be unreadable.
    pub(super) fn must_shield(&self, run: RunId) -> BTreeSet<String> {
        let of_run = |record: &&LogRecord| (record.stamp.region, record.stamp.version.run) == run;
        let datasets = self.records().filter(|((kind, _), _)| *kind == RecordType::Datasets);
        let broken = datasets.map(|(_, record)| record).filter(of_run).filter(|record| record.broken);
        let dead = broken.filter_map(|record| record.key.split('/').nth(1).map(str::to_owned));
        let unkeyed = self.marker(run).into_iter().flat_map(|marker| marker.unkeyed_by.keys().cloned());
        let is_judged = |domain: &String| match self.marker(run).map(|marker| marker.shape.coverage()) {
            Some(Coverage::Domains(domains)) => domains.contains(domain),
            coverage => coverage == Some(Coverage::Full),
        };
        dead.chain(unkeyed).filter(is_judged).collect()
    }

    /// Whether a run may say that the absence from an earlier one on is confirmed in a domain.
    pub(super) fn may_confirm(&self, run: RunId, domain: &str, first: u32) -> bool {
        let first = (run.0, first);
        let (Some(last_marker), Some(first_marker)) = (self.marker(run), self.marker(first)) else {
            return false;
        };
        let lasted = last_marker.ended_at - first_marker.ended_at;
        let are_full =
            [last_marker, first_marker].iter().all(|marker| marker.shape.coverage() == Coverage::Full);
        are_full && first < run && lasted >= Duration::days(2) && self.covers(first, domain)
    }

    fn marker(&self, run: RunId) -> Option<&EndRecord> {
        self.markers(run).find_map(|(_, record)| record.marker.as_ref())
    }

    fn markers(&self, (region, run): RunId) -> impl Iterator<Item = (Spot, &LogRecord)> {
        self.records().filter(move |(_, record)| {
            record.marker.is_some() && (record.stamp.region, record.stamp.version.run) == (region, run)
        })
    }

    /// The books: of each run and partition how many records were delivered, good and bad, and how many
    /// published.
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
            match &record.marker {
                Some(marker) => count.published = Some(i64::try_from(marker.published).unwrap()),
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

    /// All runs of which anything was delivered, and what becomes of each.
    pub(super) fn fates(&self) -> BTreeMap<RunId, Fate> {
        let runs: BTreeSet<RunId> =
            self.records().map(|(_, record)| (record.stamp.region, record.stamp.version.run)).collect();
        runs.into_iter().map(|id| (id, self.fate(id))).collect()
    }

    fn fate(&self, (region, run): RunId) -> Fate {
        let markers: Vec<_> = self.markers((region, run)).collect();
        let unended = if self.is_passed_over((region, run)) { Fate::Abandoned } else { Fate::Open };
        let Some(marker) = markers.first().and_then(|(_, record)| record.marker.as_ref()) else {
            return unended;
        };
        let of_run = |count: &Count| count.region == region.name() && count.run == i64::from(run);
        let is_fine = |count: &Count| count.published == Some(count.applied + count.dead);
        if markers.len() < usize::try_from(marker.partitions.values().sum::<i32>()).unwrap() {
            unended
        } else if marker.shape.coverage() == Coverage::None {
            Fate::Ended
        } else if marker.unknown() == 0 && self.ledger().iter().filter(|count| of_run(count)).all(is_fine) {
            Fate::Good
        } else {
            Fate::Bad
        }
    }

    /// Whether a marker names a run before this one as the last that ended before its own.
    fn is_passed_over(&self, (region, run): RunId) -> bool {
        self.records().filter(|(_, record)| record.stamp.region == region).any(|(_, record)| {
            let passes = |marker: &EndRecord| {
                marker.run > run && marker.previous_ended.is_none_or(|ended| ended < run)
            };
            record.marker.as_ref().is_some_and(passes)
        })
    }
}
