//! What a rebuild or a comparison found, for people or for programs.

use std::fmt;
use std::time::Duration;

use catalog_shared::answer;
use catalog_shared::human::counted;
use serde::{Serialize, Serializer};

use super::comparison::{Counts, Differing, DifferingRow};
use super::intent::Intent;
use super::loss::Floor;
use super::repair::RefusedRow;
use crate::kafka::lost_records::LostRecords;

/// How many refused rows are shown to people; JSON has all.
const NAMED: usize = 20;

/// What was found, and done about it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(super) intent: Intent,
    /// How many records were replayed.
    pub(super) records: u64,
    pub(super) tables: Vec<Differing>,
    /// The rows that the database refused to have repaired.
    pub(super) refusals: Vec<RefusedRow>,
    /// Partitions that have lost their beginning.
    #[serde(rename = "lost_beginnings")]
    pub(super) lost: Vec<LostRecords>,
    /// Below which runs rows stay as they are therefore.
    pub(super) floors: Vec<Floor>,
    /// How long the live consumers were held off.
    #[serde(rename = "held_off_seconds", serialize_with = "seconds")]
    pub(super) held_off: Duration,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub(super) took: Duration,
}

fn seconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

impl Report {
    /// How many rows differed, in all tables.
    pub(crate) fn differing(&self) -> i64 {
        self.tables.iter().map(|table| table.counts.differing()).sum()
    }

    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(answer::print(json, self, self)?)
    }

    /// As [`Report::print`], of a command that fails; gives the error to end with.
    pub(crate) fn print_failure(&self, json: bool, error: anyhow::Error) -> anyhow::Error {
        answer::print_failure(json, self, self, error)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (took, held_off) = (self.took.as_secs_f64(), self.held_off.as_secs_f64());
        let (records, done) = (counted(self.records, "record", "records"), self.intent.done());
        writeln!(f, "{done} {records} in {took:.1} s; consumers were held off for {held_off:.1} s.")?;
        let columns = ["rows", "missing", "different", "extra", "refused", "kept"];
        write!(f, "  {:22}", "")?;
        columns.iter().try_for_each(|column| write!(f, " {column:>9}"))?;
        for table in &self.tables {
            let Counts { table, rows, missing, different, extra, refused, kept } = &table.counts;
            write!(
                f,
                "\n  {table:22} {rows:>9} {missing:>9} {different:>9} {extra:>9} {refused:>9} {kept:>9}"
            )?;
        }
        self.lost.iter().try_for_each(|lost| write!(f, "\n  records are lost: {lost}"))?;
        self.refusals.iter().take(NAMED).try_for_each(|row| write!(f, "\n  {row}"))?;
        if self.intent == Intent::Compare {
            self.tables.iter().try_for_each(|table| list(f, table))?;
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, table: &Differing) -> fmt::Result {
    let Differing { counts, listed } = table;
    for DifferingRow { kind, key, columns } in listed {
        write!(f, "\n  {} {}: {kind}", counts.table, key.join("/"))?;
        if !columns.is_empty() {
            write!(f, " in {}", columns.join(", "))?;
        }
    }
    let more = counts.reported() - i64::try_from(listed.len()).unwrap_or(i64::MAX);
    if more > 0 { write!(f, "\n  {}: {more} more", counts.table) } else { Ok(()) }
}
