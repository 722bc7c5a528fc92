//! The consumer that serves the page: its state, its waits and the versions.

use catalog_shared::human::{counted, span};
use maud::{Markup, html};

use super::{View, mark, seconds_since, time_text};
use crate::commands::check::limits::Level;
use crate::commands::check::page::live::{Live, LiveWait};
use crate::store::database;

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        section {
            h2 { "This consumer" }
            (state(view.live))
            (waits(&view.live.waits))
            (about(view))
        }
    }
}

fn state(Live { health, readiness, .. }: &Live) -> Markup {
    let level = |is_ok, otherwise| if is_ok { Level::Ok } else { otherwise };
    let (healthy, ready) = (level(health.is_ok, Level::Critical), level(readiness.is_ok, Level::Warning));
    html! {
        p { (mark::mark(healthy)) (health.summary) }
        p { (mark::mark(ready)) (readiness.summary) }
    }
}

fn waits(waits: &[LiveWait]) -> Markup {
    html! {
        @if waits.is_empty() { p.none { "It waits for nothing." } } @else {
            p { "It waits:" }
            ul {
                @for LiveWait { cause, what, seconds, limit } in waits {
                    li {
                        (what) " (" code { (cause) } ") for " (span(*seconds))
                        @if let Some(limit) = limit { ", at most " (span(*limit)) }
                    }
                }
            }
        }
    }
}

fn about(view: &View<'_>) -> Markup {
    let about = view.about;
    let server = view.ledger.last.as_ref().map(|(_, ledger)| ledger.server_version.as_str());
    html! {
        dl.about {
            dt { "Version" } dd { "catalog-consumer " (env!("CARGO_PKG_VERSION")) ", migration " (database::revision()) }
            dt { "librdkafka" } dd { (rdkafka::util::get_rdkafka_version().1) }
            dt { "PostgreSQL" } dd { (server.unwrap_or("unknown")) }
            dt { "Group" } dd { (about.group) }
            dt { "Topics" } dd { (about.topic_prefix) "*" }
            dt { "Schema" } dd { (about.schema) }
            dt { "Partitions" } dd { (counted(view.live.partitions.len() as u64, "partition", "partitions")) " assigned" }
            dt { "Running" } dd {
                "for " (span(seconds_since(about.started_at, view.now))) ", since " (time_text(about.started_at))
            }
        }
    }
}
