//! The state in one line, and what to do about it.

use maud::{Markup, html};

use super::{View, command, mark, time_text};
use crate::commands::check::findings::{self, Finding};
use crate::commands::check::limits::Level;
use crate::commands::check::page::reading::Gap;
use crate::commands::check::report::Report;
use crate::commands::check::{DOCTOR, of_facts, other_topics, unknown_lag};

impl View<'_> {
    /// The findings of `check`, and whether this consumer makes progress.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if !self.live.health.is_ok {
            let stalled = format!("this consumer makes no progress: {}", self.live.health.summary);
            found.push(Finding::plain("consumer", Level::Critical, stalled).next(DOCTOR));
        }
        let ledger = match (&self.ledger.last, &self.ledger.gap) {
            (Some((_, ledger)), None) => ledger,
            (_, gap) => {
                let why = format!("the tables are unknown: {}", gap_text(gap.as_ref()));
                found.push(Finding::plain("database", Level::Unknown, why).next(DOCTOR));
                return found;
            }
        };
        found.extend(of_facts(self.limits, None, &ledger.facts));
        found.extend(match &ledger.facts.other_topics {
            Some(reason) => vec![other_topics(reason.clone())],
            None => self.lag_findings(),
        });
        found
    }

    fn lag_findings(&self) -> Vec<Finding> {
        match (&self.lag.last, &self.lag.gap) {
            (Some((_, lag)), None) => findings::lag(lag, self.limits.lag_records(), self.limits.lag_time()),
            (_, Some(gap)) if !gap.has_failed => {
                let why = format!("the lag is unknown: {}", gap_text(Some(gap)));
                vec![Finding::plain("kafka", Level::Unknown, why)]
            }
            (_, gap) => vec![unknown_lag(&gap_text(gap.as_ref()))],
        }
    }
}

fn gap_text(gap: Option<&Gap>) -> String {
    gap.map(|Gap { since, why, .. }| format!("{why} (since {})", time_text(*since))).unwrap_or_default()
}

/// The status line of `check`.
pub(super) fn banner(report: &Report) -> Markup {
    let name = report.level.name();
    let rest = report.status.strip_prefix(name).unwrap_or_default();
    html! {
        header class={ "banner " (mark::class(report.level)) } {
            (mark::mark(report.level))
            div {
                p.program { "catalog-consumer" }
                h1 { strong { (name) } (rest) }
            }
        }
    }
}

/// The findings that need a person, each with the next command.
pub(super) fn next_commands(report: &Report) -> Markup {
    let open = || report.findings.iter().filter(|finding| finding.level != Level::Ok);
    html! {
        @if open().next().is_some() {
            section {
                h2 { "What to do" }
                ul.findings {
                    @for Finding { level, found, next, .. } in open() {
                        li class=(mark::class(*level)) {
                            p { (mark::mark(*level)) strong { (level.name()) } " " bdi { (found) } }
                            @if let Some(next) = next { (command(next)) }
                        }
                    }
                }
            }
        }
    }
}
