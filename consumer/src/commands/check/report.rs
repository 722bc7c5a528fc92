//! The report of `check`: a status line for Nagios, then each finding; or JSON.

use std::fmt;

use catalog_shared::exit::Stop;
use catalog_shared::human::counted;
use catalog_shared::output;
use serde::Serialize;

use super::findings::{Finding, Unit, limit_text};
use super::limits::Level;

/// The number of findings in the status line.
const MAX_IN_STATUS: usize = 4;

/// All findings.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The worst level.
    pub(super) level: Level,
    /// The status line without performance data.
    pub(super) status: String,
    /// Worst first.
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        // Sorting is stable, so equal levels keep their order.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let status = status(level, &findings);
        Self { level, status, findings }
    }

    pub(super) const fn is_ok(&self) -> bool {
        matches!(self.level, Level::Ok)
    }

    /// Prints the report.
    ///
    /// # Errors
    /// [`Stop::Status`] with the exit code of the level unless all is well, or standard output can't be written.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if self.is_ok() {
            return Ok(output::print(json, self, self)?);
        }
        let at = |level| self.findings.iter().filter(|finding| finding.level == level).count() as u64;
        let counts = [
            counted(at(Level::Critical), "critical finding", "critical findings"),
            counted(at(Level::Warning), "warning", "warnings"),
            counted(at(Level::Unknown), "check could not run", "checks could not run"),
        ];
        let counts: Vec<String> = counts.into_iter().filter(|count| !count.starts_with("0 ")).collect();
        let error = Stop::Status { code: self.level.exit_code(), text: counts.join(", ") };
        Err(output::print_failure(json, self, self, error.into()))
    }

    /// Nagios' performance data: values with a unique name.
    fn performance(&self) -> String {
        let values = self.findings.iter().filter_map(|finding| {
            let measured = finding.measured?;
            let name = match finding.check {
                // Several of these have a value each.
                "held_runs" | "open_runs" | "domain_crawl" => return None,
                check @ ("full_crawl" | "last_crawl") => format!("{check}_{}", finding.region.as_deref()?),
                check => check.to_owned(),
            };
            let unit = if measured.unit == Unit::Seconds { "s" } else { "" };
            let (warning, critical) = (measured.limits.warning, measured.limits.critical);
            Some(format!("{name}={}{unit};{};{}", measured.value, limit_text(warning), limit_text(critical)))
        });
        values.collect::<Vec<_>>().join(" ")
    }
}

/// `WARNING - finding; finding`. The findings are sorted by level.
fn status(level: Level, findings: &[Finding]) -> String {
    let of_level: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.level == level)
        .map(|finding| finding.found.as_str())
        .collect();
    let mut status = format!("{} - ", level.name());
    status.push_str(&of_level.iter().take(MAX_IN_STATUS).copied().collect::<Vec<_>>().join("; "));
    let more = of_level.len().saturating_sub(MAX_IN_STATUS);
    // All of the checks that are well are listed below.
    if more > 0 && level != Level::Ok {
        status.push_str(&format!("; and {more} more"));
    }
    one_line(&status)
}

/// Nagios reads performance data after `|`, and only the first line is the status.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c == '|' || c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        let performance = self.performance();
        if !performance.is_empty() {
            write!(f, " | {performance}")?;
        }
        for Finding { check, level, found, next, .. } in &self.findings {
            write!(f, "\n{:8}  {check:16}  {}", level.name(), one_line(found))?;
            if let Some(next) = next {
                write!(f, "\n{:28}next: {next}", "")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{Limit, Limits};
    use super::super::{facts, findings};
    use super::*;

    const LIMITS: Limits = Limits { warning: Limit(Some(1)), critical: Limit(None) };

    #[test]
    fn the_first_line_is_a_status_line_with_performance_data() {
        let full = facts::LastFullCrawl { region: "us".into(), run: Some(5), age: Some(0.0) };
        let facts = facts::RunFacts { full_crawls: vec![full], ..facts::RunFacts::default() };
        let none = facts::RunFacts::default();
        let held = facts::HeldRun { region: "us".into(), run: 6, reason: "a | b\nc".into(), age: Some(7.0) };
        let mut found = findings::crawls::accepted(&facts, None, LIMITS);
        assert_eq!(
            Report::new(findings::crawls::accepted(&none, None, LIMITS)).to_string().lines().next(),
            Some("WARNING - no run has arrived in the tables")
        );
        found.extend(findings::held_runs(&[held], LIMITS));
        let text = Report::new(found).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "WARNING - run 6 of us has been on hold for 7 s: a   b c | full_crawl_us=0s;1;");
        assert!(lines[1].starts_with("WARNING   held_runs "), "{text}");
        assert!(lines[2].ends_with("next: catalog-consumer runs show 6 --region us"), "{text}");
        assert!(lines[3].starts_with("OK        full_crawl "), "{text}");
    }

    #[test]
    fn a_long_list_is_cut_in_the_status_line_only() {
        let held = |run| facts::HeldRun { region: "us".into(), run, reason: "x".into(), age: Some(7.0) };
        let held: Vec<_> = (1..=6).map(held).collect();
        let text = Report::new(findings::held_runs(&held, LIMITS)).to_string();
        assert!(text.lines().next().unwrap().ends_with("; and 2 more"), "{text}");
        assert_eq!(text.matches("next: ").count(), 6);
    }
}
