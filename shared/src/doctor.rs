//! `doctor`: groups of checks that run side by side, each with a time limit, and their report.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde::Serialize;

use crate::human::counted;
use crate::output;
use crate::time_limit::within;

/// With default time limits, `doctor` and `check` end within this time, and a running consumer reports a stalled partition.
/// Tests beside each default compare it with this.
pub const MAX_DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A word of a command line for a shell, quoted if need be.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The level of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The programs can't work like this.
    Problem,
    /// The programs work, but someone should look.
    Warning,
    /// It could not be checked, because something else is missing.
    Skipped,
    /// Nothing is wrong.
    Ok,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// The level.
    pub level: Level,
    /// What was found, on one line and without secrets.
    pub found: String,
    /// The next command for a problem or a warning: a line of shell. A comment in it describes what to do with the result.
    pub next: Option<String>,
}

impl Finding {
    /// Nothing is wrong.
    #[must_use]
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), next: None }
    }

    /// Someone should look.
    #[must_use]
    pub fn warning(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, found: found.into(), next: Some(next.into()) }
    }

    /// The programs can't work like this.
    #[must_use]
    pub fn problem(check: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, level: Level::Problem, found: found.into(), next: Some(next.into()) }
    }

    /// It could not be checked.
    #[must_use]
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, level: Level::Skipped, found: why.into(), next: None }
    }
}

/// The future of a group of checks. It stays on its own thread.
pub type Checks = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Finding>>>>>;

/// Checks that depend on each other.
pub struct Group {
    name: &'static str,
    /// The next command if the group fails as a whole.
    next: String,
    run: Box<dyn FnOnce() -> Checks + Send>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Group {
    /// A group. If it fails or does not end in time, that is a problem of this name with this next command.
    pub fn new<F>(
        name: &'static str,
        next: impl Into<String>,
        checks: impl FnOnce() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<Vec<Finding>>> + 'static,
    {
        Self { name, next: next.into(), run: Box::new(move || Box::pin(checks())) }
    }
}

/// Runs groups side by side, each for at most `limit`. The findings are in the order of the groups.
pub async fn examine(groups: Vec<Group>, limit: Duration) -> Report {
    let started = Instant::now();
    let running: Vec<_> = groups
        .into_iter()
        .map(|Group { name, next, run }| (name, next, tokio::spawn(within(limit, run))))
        .collect();
    let mut findings = Vec::new();
    for (name, next, group) in running {
        match group.await.map_err(anyhow::Error::from).flatten() {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::problem(name, format!("{error:#}"), next)),
        }
    }
    Report { findings, elapsed: started.elapsed() }
}

/// The findings of all groups.
#[derive(Debug)]
pub struct Report {
    findings: Vec<Finding>,
    elapsed: Duration,
}

#[derive(Serialize)]
struct ReportView<'a> {
    problems: usize,
    warnings: usize,
    checks: &'a [Finding],
    seconds: f64,
}

impl Report {
    /// Prints the report.
    ///
    /// # Errors
    /// If there is a problem, or standard output can't be written.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        let (problems, warnings) = (self.count(Level::Problem), self.count(Level::Warning));
        let seconds = self.elapsed.as_secs_f64();
        let view = ReportView { problems, warnings, checks: &self.findings, seconds };
        if problems == 0 {
            return Ok(output::print(json, &view, self)?);
        }
        let error = anyhow!("{}", counted(problems as u64, "problem", "problems"));
        Err(output::print_failure(json, &view, self, error))
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, level, found, next } in &self.findings {
            let found: String = found.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            writeln!(f, "{:8} {check:22} {found}", level.name())?;
            if let Some(next) = next {
                writeln!(f, "{:32}next: {next}", "")?;
            }
        }
        let counted = |level, one, many| counted(self.count(level) as u64, one, many);
        write!(
            f,
            "{}, {}, {} ok, {} skipped in {:.1} s.",
            counted(Level::Problem, "problem", "problems"),
            counted(Level::Warning, "warning", "warnings"),
            self.count(Level::Ok),
            self.count(Level::Skipped),
            self.elapsed.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn a_word_with_special_characters_is_quoted() {
        let words = ["catalog-1", "", "a b", "$x", "it's"].map(shell_word);
        assert_eq!(words, ["catalog-1", "''", "'a b'", "'$x'", r"'it'\''s'"]);
    }

    #[tokio::test]
    async fn groups_that_fail_or_never_end_are_problems_and_the_others_still_report() {
        let groups = vec![
            Group::new("slow", "wait", || async {
                pending::<()>().await;
                Ok(Vec::new())
            }),
            Group::new("broken", "repair", || async { Err(anyhow!("no such file")) }),
            Group::new("fine", "nothing", || async { Ok(vec![Finding::ok("fine", "all\nwell")]) }),
        ];
        let report = examine(groups, Duration::from_millis(500)).await;
        let found: Vec<_> = report.findings.iter().map(|finding| (finding.check, finding.level)).collect();
        assert_eq!(found, [("slow", Level::Problem), ("broken", Level::Problem), ("fine", Level::Ok)]);
        let text = report.to_string();
        assert!(text.contains("problem  broken                 no such file\n"), "{text}");
        assert!(text.contains("next: repair\n") && text.contains("all well\n"), "{text}");
        assert!(text.contains("2 problems, 0 warnings, 1 ok, 0 skipped in "), "{text}");
    }
}
