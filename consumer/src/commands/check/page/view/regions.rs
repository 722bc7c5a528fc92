//! The freshness and the latest runs of each region.

use catalog_shared::human::span;
use maud::{Markup, html};
use time::OffsetDateTime;

use super::run_text::{sentence, state_text};
use super::{View, ago, chart, mark, number, seconds_since, time_text};
use crate::commands::check::facts::{DomainCrawl, LastFullCrawl, RunFacts};
use crate::commands::check::limits::Limits;
use crate::commands::check::page::ledger::{LatestRun, Ledger};

/// A card per region. Ages count from now, even if the tables were read long ago.
pub(super) fn section(view: &View<'_>, ledger: &Ledger, read_at: OffsetDateTime) -> Markup {
    let limits = view.limits.crawl_age();
    let since_read = seconds_since(read_at, view.now);
    html! {
        section {
            h2 { "Regions" }
            @if ledger.facts.runs.full_crawls.is_empty() {
                p.none { "No run has arrived in the tables yet." }
            }
            div.cards {
                @for crawl in &ledger.facts.runs.full_crawls {
                    article.card {
                        h3 { (crawl.region) }
                        (region(&ledger.facts.runs, crawl, since_read, limits))
                        (latest(&runs_of(ledger, &crawl.region), view.now))
                    }
                }
            }
        }
    }
}

fn runs_of<'a>(ledger: &'a Ledger, region: &str) -> Vec<&'a LatestRun> {
    ledger.runs.iter().filter(|run| run.region == region).collect()
}

/// The age of the last accepted full crawl, or of those of each domain in a region that is only crawled with `--domain`.
fn region(facts: &RunFacts, full: &LastFullCrawl, since_read: u64, limits: Limits) -> Markup {
    let domains: Vec<&DomainCrawl> = facts.domain_crawls_of(&full.region).collect();
    html! {
        @if domains.is_empty() { (freshness("full crawl", full.run.zip(full.age), since_read, limits)) }
        @for crawl in domains {
            (freshness(&format!("crawl of {}", crawl.domains_text()), crawl.run.zip(crawl.age), since_read, limits))
        }
    }
}

/// The age of the last accepted run of a kind, in words and on a scale with the limits.
fn freshness(what: &str, last: Option<(i64, f64)>, since_read: u64, limits: Limits) -> Markup {
    let Some((run, age)) = last else {
        let level = limits.highest();
        return html! {
            p.fresh { (mark::mark(level)) strong { (level.name()) } " no " bdi { (what) } " was accepted" }
        };
    };
    let age = crate::commands::check::findings::whole_seconds(age).saturating_add(since_read);
    let level = limits.level(age);
    html! {
        p.fresh {
            (mark::mark(level)) strong { (level.name()) }
            " last accepted " bdi { (what) } " ended " (span(age)) " ago (run " (run) ")"
        }
        (chart::age(age, limits))
    }
}

fn latest(runs: &[&LatestRun], now: OffsetDateTime) -> Markup {
    html! {
        (chart::runs(runs))
        @if let Some(run) = runs.first() {
            p.last { "Latest: " (sentence(run)) @if let Some(at) = ended_at(run) { ", ended " (ago(at, now)) } }
        }
        details {
            summary { "Latest runs as a table" }
            div.scroll { (table(runs)) }
        }
    }
}

/// When a run ended. The first end-of-run record already says when, but the run has not ended before the last one.
fn ended_at(run: &LatestRun) -> Option<OffsetDateTime> {
    run.ended_at.filter(|_| run.state != "open")
}

fn table(runs: &[&LatestRun]) -> Markup {
    let figure = |figure: Option<i64>| figure.map(number).unwrap_or_default();
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "run" } th scope="col" { "mode" } th scope="col" { "state" }
                    th scope="col" { "ended" } th.figure scope="col" { "records" }
                    th.figure scope="col" { "dead letters" } th.figure scope="col" { "retired" }
                }
            }
            tbody {
                @for run in runs {
                    tr {
                        th scope="row" { (run.run) }
                        td { (run.mode.as_deref().unwrap_or_default()) }
                        td { (state_text(&run.state)) }
                        td { (ended_at(run).map(time_text).unwrap_or_default()) }
                        td.figure { (figure(run.published)) }
                        td.figure { (figure(run.dead)) }
                        td.figure { (figure(run.retired)) }
                    }
                }
            }
        }
    }
}
