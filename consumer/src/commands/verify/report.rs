//! The report of the checks, as text or JSON.

use std::fmt;
use std::time::{Duration, Instant};

use catalog_shared::human::{self, counted};
use catalog_shared::output;
use serde::{Serialize, Serializer};

use super::checks::{Check, Severity};

/// The results of all checks.
#[derive(Serialize)]
pub(super) struct VerifyReport {
    /// The number of checks that found an error, and of those that have a note.
    errors: usize,
    notes: usize,
    checks: Vec<CheckResult>,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    started: Instant,
}

/// The result of a check.
#[derive(Serialize)]
pub(super) struct CheckResult {
    #[serde(flatten)]
    pub(super) check: &'static Check,
    pub(super) count: i64,
    /// The first findings.
    pub(super) findings: Vec<VerifyFinding>,
}

/// A finding.
#[derive(Serialize)]
pub(super) struct VerifyFinding {
    /// A row, a run or a partition.
    pub(super) what: String,
    /// The problem.
    pub(super) finding: String,
}

fn seconds<S: Serializer>(started: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(started.elapsed().as_secs_f64())
}

impl VerifyReport {
    pub(super) fn start() -> Self {
        Self { errors: 0, notes: 0, checks: Vec::new(), started: Instant::now() }
    }

    pub(super) fn add(&mut self, result: CheckResult) {
        match result.check.severity {
            _ if result.count == 0 => {}
            Severity::Error => self.errors += 1,
            Severity::Note => self.notes += 1,
        }
        self.checks.push(result);
    }

    /// The number of checks that found an error.
    pub(super) const fn errors(&self) -> usize {
        self.errors
    }

    /// The checks that found something, each with the number of its findings.
    pub(super) fn found(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let found = self.checks.iter().filter(|result| result.count > 0);
        found.map(|result| (result.check.name, result.count))
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(output::print(json, self, self)?)
    }

    /// Prints the report of a failed command, and returns the error that the command ends with.
    pub(super) fn print_failure(&self, json: bool, error: anyhow::Error) -> anyhow::Error {
        output::print_failure(json, self, self, error)
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { errors, notes, checks, started } = self;
        let elapsed: Duration = started.elapsed();
        let total = counted(checks.len() as u64, "check", "checks");
        let (elapsed, notes) = (elapsed.as_secs_f64(), counted(*notes as u64, "has notes", "have notes"));
        write!(f, "{total} in {elapsed:.1} s: {errors} found errors, {notes}.")?;
        checks.iter().filter(|result| result.count > 0).try_for_each(|result| write!(f, "\n{result}"))
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check: Check { severity, name, description, .. }, count, findings } = self;
        let total = human::count(u64::try_from(*count).unwrap_or_default());
        write!(f, "{:5}  {name}: {total} ({description})", severity.name())?;
        for VerifyFinding { what, finding } in findings {
            write!(f, "\n       {what}: {finding}")?;
        }
        let more = count - i64::try_from(findings.len()).unwrap_or(i64::MAX);
        if more > 0 { write!(f, "\n       and {more} more") } else { Ok(()) }
    }
}
