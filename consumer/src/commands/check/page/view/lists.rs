//! Runs on hold, shielded domains, dead letters and retired datasets.

use catalog_shared::human::{counted, span};
use maud::{Markup, html};
use time::OffsetDateTime;

use super::{ago, command, number, time_text};
use crate::commands::check::facts::{HeldRun, OpenDeadLetters, ShieldedDomain};
use crate::commands::check::findings::whole_seconds;
use crate::commands::check::page::ledger::{Ledger, OpenDeadLetter, RetiredDataset};

/// The number of entries of a list.
const MAX_SHOWN: usize = 20;

/// A section with a list, or a line that says that there is nothing.
fn list<T>(title: &str, none: &str, entries: &[T], entry: impl Fn(&T) -> Markup, all: &str) -> Markup {
    let more = entries.len().saturating_sub(MAX_SHOWN);
    html! {
        section {
            h2 { (title) }
            @if entries.is_empty() { p.none { (none) } }
            ul.entries { @for shown in entries.iter().take(MAX_SHOWN) { li { (entry(shown)) } } }
            @if more > 0 { p { "And " (more) " more:" } (command(all)) }
        }
    }
}

/// Runs on hold, with the commands that decide about them.
pub(super) fn held_runs(ledger: &Ledger) -> Markup {
    let entry = |HeldRun { region, run, reason, age }: &HeldRun| {
        let since = whole_seconds(age.unwrap_or_default());
        let decide = |what| format!("catalog-consumer runs {what} --region {region} --run {run}");
        html! {
            p { strong { "Run " (run) " of " (region) } " for " (span(since)) ": " bdi { (reason) } }
            dl {
                dt { "What it would retire" } dd { (command(&format!("catalog-consumer runs show {run} --region {region}"))) }
                dt { "Let it retire that" } dd { (command(&decide("approve"))) }
                dt { "Keep it all" } dd { (command(&decide("decline"))) }
            }
        }
    };
    list("Runs on hold", "No run is on hold.", &ledger.facts.runs.held, entry, "catalog-consumer runs list")
}

/// Domains whose missing datasets are kept, with the command that lifts the shield.
pub(super) fn shielded_domains(ledger: &Ledger) -> Markup {
    let entry = |ShieldedDomain { region, domain, run, kept }: &ShieldedDomain| {
        let kept = counted(u64::try_from(*kept).unwrap_or_default(), "dataset", "datasets");
        html! {
            p { strong { bdi { (domain) } } " of " (region) ": " (kept) " kept that run " (run) " did not see" }
            dl {
                dt { "Why" } dd { (command(&format!("catalog-consumer runs show {run} --region {region}"))) }
                @if is_plain(domain) {
                    dt { "Retire them after all" }
                    dd { (command(&format!("catalog-consumer runs approve --region {region} --run {run} --domain {domain}"))) }
                }
            }
        }
    };
    let shielded = &ledger.facts.shielded;
    list("Shielded domains", "No domain is shielded.", shielded, entry, "catalog-consumer verify")
}

/// Whether a shell passes a name on unchanged. A domain's name is other people's input, and commands are copied.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !name.starts_with('-') && name.bytes().all(plain)
}

/// Open dead letters, newest first.
pub(super) fn dead_letters(ledger: &Ledger, now: OffsetDateTime) -> Markup {
    let OpenDeadLetters { open, .. } = ledger.facts.dead_letters;
    let entry = |OpenDeadLetter { id, topic, reason, seen_at }: &OpenDeadLetter| {
        html! {
            p { strong { "Number " (id) } " of " (topic) ", " (ago(*seen_at, now)) ": " bdi { (reason) } }
            (command(&format!("catalog-consumer dead-letters show {id}")))
        }
    };
    let shown = &ledger.dead_letters;
    let title = if open > 0 {
        format!("Open dead letters: {}", number(open))
    } else {
        "Open dead letters".to_owned()
    };
    html! {
        (list(&title, "No dead letter is open.", shown, entry, ""))
        @if usize::try_from(open).is_ok_and(|open| open > shown.len()) {
            p { "These are the newest. All of them:" }
            (command("catalog-consumer dead-letters list"))
        }
    }
}

/// The datasets that were retired last.
pub(super) fn retired(ledger: &Ledger, now: OffsetDateTime) -> Markup {
    html! {
        section {
            h2 { "Retired lately: no longer in the catalog" }
            @if ledger.retired.is_empty() { p.none { "No dataset was ever retired." } } @else {
                div.scroll { table { (retired_head()) tbody { @for one in &ledger.retired { (retired_row(one, now)) } } } }
            }
        }
    }
}

fn retired_head() -> Markup {
    html! {
        thead {
            tr { th scope="col" { "dataset" } th scope="col" { "domain" } th scope="col" { "when" } }
        }
    }
}

fn retired_row(dataset: &RetiredDataset, now: OffsetDateTime) -> Markup {
    let RetiredDataset { region, domain, id, name, kind, retired_at } = dataset;
    html! {
        tr {
            td.name { bdi { (name.as_deref().unwrap_or("(no name)")) } " " small { (id) " " (kind.as_deref().unwrap_or_default()) } }
            td.name { bdi { (domain) } " " small { (region) } }
            td title=(time_text(*retired_at)) { (ago(*retired_at, now)) }
        }
    }
}
