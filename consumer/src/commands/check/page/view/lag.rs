//! How far the tables are behind the topics, by partition.

use std::collections::BTreeMap;

use catalog_shared::human::{count, counted, span};
use maud::{Markup, html};

use super::{View, ago, time_text};
use crate::commands::check::lag::{Lag, PartitionLag};
use crate::commands::check::page::live::LivePartition;

/// A partition with unread records, or without progress.
#[derive(Default)]
struct Row<'a> {
    /// Unread records, and the age of the oldest in seconds.
    lag: Option<(u64, u64)>,
    /// What this consumer knows of it, if it is assigned here.
    here: Option<&'a LivePartition>,
}

/// The partitions by topic and number.
type Rows<'a> = BTreeMap<(&'a str, i32), Row<'a>>;

pub(super) fn section(view: &View<'_>) -> Markup {
    let rows = rows(view);
    html! {
        section {
            h2 { "Lag" }
            (summary(view))
            @if !rows.is_empty() { div.scroll { (table(&rows)) } }
        }
    }
}

fn summary(view: &View<'_>) -> Markup {
    let last = view.lag.last.as_ref();
    html! {
        @if let Some(gap) = &view.lag.gap {
            p.outdated { "Unknown since " (time_text(gap.since)) ": " bdi { (gap.why) } }
            @if let Some((at, lag)) = last { p.outdated { "Last known, " (ago(*at, view.now)) ": " (in_words(lag)) } }
            p { "Below is what this consumer knows of its own partitions." }
        } @else if let Some((_, lag)) = last {
            p { (in_words(lag)) }
        }
    }
}

fn in_words(lag: &Lag) -> String {
    let partitions = counted(lag.partitions as u64, "partition", "partitions");
    let Some(seconds) = lag.seconds else { return format!("Nothing is unread in {partitions}.") };
    let records = counted(lag.records, "record", "records");
    format!(
        "Up to {records} unread in {} of {partitions}; the oldest is {} old.",
        count(lag.behind.len() as u64),
        span(seconds)
    )
}

/// The partitions that are behind. Only this consumer's own ones while Kafka is unknown.
fn rows<'a>(view: &'a View<'_>) -> Rows<'a> {
    let mut rows = Rows::new();
    let measured = view.lag.last.as_ref().filter(|_| view.lag.gap.is_none());
    for PartitionLag { topic, partition, records, seconds } in
        measured.iter().flat_map(|(_, lag)| &lag.behind)
    {
        rows.entry((topic, *partition)).or_default().lag = Some((*records, *seconds));
    }
    for here in &view.live.partitions {
        let key = (here.topic.as_str(), here.partition);
        let has_stopped = here.wait.is_some() || here.stalled.is_some();
        let own = here.records.filter(|records| measured.is_none() && *records > 0);
        if has_stopped || own.is_some() || rows.contains_key(&key) {
            let row = rows.entry(key).or_default();
            row.here = Some(here);
            row.lag = row.lag.or(own.map(|records| (records, here.seconds)));
        }
    }
    rows
}

fn table(rows: &Rows<'_>) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "partition" } th.figure scope="col" { "unread" }
                    th.figure scope="col" { "oldest" } th scope="col" { "applied by" }
                }
            }
            tbody {
                @for ((topic, partition), row) in rows {
                    tr {
                        th scope="row" { (topic) "[" (partition) "]" }
                        td.figure { @if let Some((records, _)) = row.lag { (count(records)) } }
                        td.figure { @if let Some((_, seconds)) = row.lag { (span(seconds)) } }
                        td { (applied_by(row)) }
                    }
                }
            }
        }
    }
}

fn applied_by(row: &Row<'_>) -> Markup {
    let Some(here) = row.here else { return html! { "another consumer, or none" } };
    html! {
        "this consumer"
        @if let Some(seconds) = here.stalled { ", " strong.critical { "no progress for " (span(seconds)) } }
        @if let Some(cause) = here.wait { ", waits (" (cause) ")" }
    }
}
