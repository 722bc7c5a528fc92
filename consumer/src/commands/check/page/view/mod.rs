//! The page as HTML. A pure function of what is known, so every state can be tested.
//!
//! `html!` escapes every text. The names of datasets and domains and the reasons of runs and dead letters are other people's
//! input.

mod chart;
mod lag;
mod lists;
mod mark;
mod regions;
mod run_text;
mod status;
#[cfg(test)]
mod tests;
mod this_consumer;

use catalog_shared::human::{count, span};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::About;
use super::ledger::Ledger;
use super::live::Live;
use super::reading::Known;
use crate::commands::check::lag::Lag;
use crate::commands::check::limits::LimitArgs;
use crate::commands::check::report::Report;

const STYLE: &str = include_str!("style.css");
/// The hash of [`STYLE`] for the Content-Security-Policy. `tests/tests/pipeline/status_page.rs` compares them.
pub(super) const STYLE_SHA256: &str = "w/yFVZ5u9La2KHDGMK2rscXPaCCweEDjIay5x4eBkzc=";

/// Seconds until the browser loads the page again, and while something is unknown.
const REFRESH: u64 = 30;
const REFRESH_SOON: u64 = 10;

/// What the page shows.
pub(super) struct View<'a> {
    pub(super) now: OffsetDateTime,
    pub(super) live: &'a Live,
    pub(super) ledger: Known<Ledger>,
    pub(super) lag: Known<Lag>,
    pub(super) limits: &'a LimitArgs,
    pub(super) about: &'a About,
}

impl View<'_> {
    /// The document.
    pub(super) fn document(&self) -> String {
        let report = Report::new(self.findings());
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                (self.head(&report))
                body {
                    main {
                        (status::banner(&report))
                        (status::next_commands(&report))
                        (self.of_ledger())
                        (lag::section(self))
                        (this_consumer::section(self))
                    }
                    (self.footer())
                }
            }
        };
        page.into_string()
    }

    fn head(&self, report: &Report) -> Markup {
        let refresh = if self.is_current() { REFRESH } else { REFRESH_SOON };
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(refresh);
                title { (report.level.name()) " - catalog-consumer" }
                link rel="icon" href=(mark::icon(report.level));
                style { (PreEscaped(STYLE)) }
            }
        }
    }

    const fn is_current(&self) -> bool {
        self.ledger.gap.is_none() && self.lag.gap.is_none()
    }

    /// The sections about the tables.
    fn of_ledger(&self) -> Markup {
        let Some((read_at, ledger)) = &self.ledger.last else { return Markup::default() };
        html! {
            @if self.ledger.gap.is_some() {
                p.outdated { "The tables were last read " (ago(*read_at, self.now)) ", at " (time_text(*read_at)) ":" }
            }
            (regions::section(self, ledger, *read_at))
            (lists::held_runs(ledger))
            (lists::shielded_domains(ledger))
            (lists::dead_letters(ledger, self.now))
            (lists::retired(ledger, self.now))
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer {
                p {
                    "Made at " (time_text(self.now)) ". It loads again by itself. Also here: "
                    a href="/metrics" { "/metrics" } ", " a href="/healthz" { "/healthz" } ", "
                    a href="/readyz" { "/readyz" } "."
                }
            }
        }
    }
}

/// A time in UTC.
fn time_text(time: OffsetDateTime) -> String {
    const SECOND: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    // Can't fail: a time has every component of the format.
    time.to_offset(UtcOffset::UTC).format(SECOND).unwrap_or_default()
}

/// Seconds from a time of any clock to now.
fn seconds_since(time: OffsetDateTime, now: OffsetDateTime) -> u64 {
    u64::try_from((now - time).whole_seconds()).unwrap_or_default()
}

fn ago(time: OffsetDateTime, now: OffsetDateTime) -> String {
    format!("{} ago", span(seconds_since(time, now)))
}

fn number(number: i64) -> String {
    count(u64::try_from(number).unwrap_or_default())
}

/// A command to copy: a click selects it. Lines break between its words only.
fn command(text: &str) -> Markup {
    html! { code.command { @for word in text.split_inclusive(' ') { span { (word) } } } }
}
