//! What the checks found, for people or for programs.

use std::fmt;
use std::time::{Duration, Instant};

use catalog_shared::answer;
use catalog_shared::human::{self, counted};
use serde::{Serialize, Serializer};

use super::checks::{Check, Severity};

/// What all checks found.
#[derive(Serialize)]
pub(super) struct Report {
    /// How many checks found an error, and how many have a note.
    errors: usize,
    notes: usize,
    checks: Vec<Found>,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    started: Instant,
}

/// What a check found.
#[derive(Serialize)]
pub(super) struct Found {
    #[serde(flatten)]
    pub(super) check: &'static Check,
    pub(super) count: i64,
    /// The first of them.
    pub(super) findings: Vec<Finding>,
}

/// A finding.
#[derive(Serialize)]
pub(super) struct Finding {
    /// A row, a run or a partition.
    pub(super) what: String,
    /// What is the matter with it.
    pub(super) finding: String,
}

fn seconds<S: Serializer>(started: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(started.elapsed().as_secs_f64())
}

impl Report {
    pub(super) fn start() -> Self {
        Self { errors: 0, notes: 0, checks: Vec::new(), started: Instant::now() }
    }

    pub(super) fn add(&mut self, found: Found) {
        match found.check.severity {
            _ if found.count == 0 => {}
            Severity::Error => self.errors += 1,
            Severity::Note => self.notes += 1,
        }
        self.checks.push(found);
    }

    /// How many checks found an error.
    pub(super) const fn errors(&self) -> usize {
        self.errors
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(answer::print(json, self, self)?)
    }

    /// As [`Report::print`], of a command that fails; gives the error to end with.
    pub(super) fn print_failure(&self, json: bool, error: anyhow::Error) -> anyhow::Error {
        answer::print_failure(json, self, self, error)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { errors, notes, checks, started } = self;
        let took: Duration = started.elapsed();
        let total = counted(checks.len() as u64, "check", "checks");
        let (took, notes) = (took.as_secs_f64(), counted(*notes as u64, "has notes", "have notes"));
        write!(f, "{total} in {took:.1} s: {errors} found errors, {notes}.")?;
        checks.iter().filter(|found| found.count > 0).try_for_each(|found| write!(f, "\n{found}"))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check: Check { severity, name, says, .. }, count, findings } = self;
        let total = human::count(u64::try_from(*count).unwrap_or_default());
        write!(f, "{:5}  {name}: {total} ({says})", severity.name())?;
        for Finding { what, finding } in findings {
            write!(f, "\n       {what}: {finding}")?;
        }
        let more = count - i64::try_from(findings.len()).unwrap_or(i64::MAX);
        if more > 0 { write!(f, "\n       and {more} more") } else { Ok(()) }
    }
}
