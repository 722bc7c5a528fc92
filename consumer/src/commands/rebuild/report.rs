//! The report of a rebuild or a comparison, as text or JSON.

use std::fmt;
use std::time::Duration;

use catalog_shared::human::counted;
use catalog_shared::output;
use serde::{Serialize, Serializer};

use super::comparison::{DiffCounts, RowDiff, TableDiff};
use super::intent::Intent;
use super::loss::Floor;
use super::repair::RefusedRow;
use crate::kafka::lost_records::LostRecords;

/// The number of refused rows that the text lists; JSON lists all.
const MAX_LISTED: usize = 20;

/// The result of a rebuild or a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct RebuildSummary {
    pub(super) intent: Intent,
    /// The number of replayed records.
    pub(super) records: u64,
    pub(super) tables: Vec<TableDiff>,
    /// The rows that the database refused to repair.
    pub(super) refusals: Vec<RefusedRow>,
    /// The partitions that lost their first records.
    #[serde(rename = "lost_beginnings")]
    pub(super) lost: Vec<LostRecords>,
    /// Per region: rows last seen before this run are kept unchanged.
    pub(super) floors: Vec<Floor>,
    /// How long the live consumers were blocked.
    #[serde(rename = "held_off_seconds", serialize_with = "seconds")]
    pub(super) blocked: Duration,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub(super) elapsed: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl RebuildSummary {
    /// The number of rows that needed a repair, in all tables.
    pub(crate) fn differing(&self) -> i64 {
        self.tables.iter().map(|table| table.counts.differing()).sum()
    }

    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(output::print(json, self, self)?)
    }

    /// Prints the report of a failed command, and returns the error that the command ends with.
    pub(crate) fn print_failure(&self, json: bool, error: anyhow::Error) -> anyhow::Error {
        output::print_failure(json, self, self, error)
    }
}

impl fmt::Display for RebuildSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (elapsed, blocked) = (self.elapsed.as_secs_f64(), self.blocked.as_secs_f64());
        let (records, label) = (counted(self.records, "record", "records"), self.intent.label());
        writeln!(f, "{label} {records} in {elapsed:.1} s; consumers were blocked for {blocked:.1} s.")?;
        let columns = ["rows", "missing", "different", "extra", "refused", "kept"];
        write!(f, "  {:22}", "")?;
        columns.iter().try_for_each(|column| write!(f, " {column:>9}"))?;
        for table in &self.tables {
            let DiffCounts { table, rows, missing, different, extra, refused, kept } = &table.counts;
            write!(
                f,
                "\n  {table:22} {rows:>9} {missing:>9} {different:>9} {extra:>9} {refused:>9} {kept:>9}"
            )?;
        }
        self.lost.iter().try_for_each(|lost| write!(f, "\n  records are lost: {lost}"))?;
        self.refusals.iter().take(MAX_LISTED).try_for_each(|row| write!(f, "\n  {row}"))?;
        if self.intent == Intent::Compare {
            self.tables.iter().try_for_each(|table| list(f, table))?;
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, table: &TableDiff) -> fmt::Result {
    let TableDiff { counts, listed } = table;
    for RowDiff { kind, key, columns } in listed {
        write!(f, "\n  {} {}: {kind}", counts.table, key.join("/"))?;
        if !columns.is_empty() {
            write!(f, " in {}", columns.join(", "))?;
        }
    }
    let more = counts.reported() - i64::try_from(listed.len()).unwrap_or(i64::MAX);
    if more > 0 { write!(f, "\n  {}: {more} more", counts.table) } else { Ok(()) }
}
