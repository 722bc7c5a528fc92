//! docs/reference/metrics.md lists each metric of `names.rs` with its type and labels. That a running pair emits exactly these
//! is a test of the pipeline.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use catalog_shared::monitoring::names::{ALL, Metric, MetricKind};
use catalog_tests::docs::Page;

const PAGE: &str = "docs/reference/metrics.md";

/// The name, type and labels of each row of a table of metrics.
fn rows(page: &str) -> BTreeMap<&str, (&str, &str)> {
    page.lines().filter(|line| line.starts_with("| `catalog_")).filter_map(row).collect()
}

fn row(line: &str) -> Option<(&str, (&str, &str))> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    Some((cells.next()?.trim_matches('`'), (cells.next()?, cells.next()?)))
}

#[test]
fn the_page_of_metrics_lists_each_name_with_its_type_and_labels() -> Result<()> {
    let page = Page::read(PAGE)?;
    let rows = rows(&page.text);
    for metric in ALL {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let (found, expected) = (rows.get(metric.name), (kind, metric.labels.join(", ")));
        ensure!(
            found == Some(&(expected.0, expected.1.as_str())),
            "{PAGE}: {} has {found:?} and not {expected:?}",
            metric.name
        );
    }
    let unknown: Vec<_> =
        rows.keys().filter(|name| !ALL.iter().any(|metric| metric.name == **name)).collect();
    ensure!(unknown.is_empty(), "no program has {unknown:?}");
    Ok(())
}

/// The names in a text that look like metrics of these programs, and are none.
pub(crate) fn unknown_metrics(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    let starts = ["catalog_consumer_", "catalog_producer_"];
    words
        .filter(|word| starts.iter().any(|start| word.starts_with(start)) && metric(word).is_none())
        .collect()
}

/// The metric of a series: it has the same name, or is one of the series of a histogram.
pub(crate) fn metric(series: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| match series.strip_prefix(metric.name) {
        Some("") => true,
        Some("_bucket" | "_sum" | "_count") => metric.kind == MetricKind::Histogram,
        _ => false,
    })
}

/// A name in a sentence of any page, such as in a query.
#[test]
fn pages_name_only_metrics_that_exist() -> Result<()> {
    let mut unknown = Vec::new();
    for page in catalog_tests::docs::pages()? {
        unknown.extend(unknown_metrics(&page.text).into_iter().map(|name| format!("{}: {name}", page.path)));
    }
    ensure!(unknown.is_empty(), "no program has {}", unknown.join(", "));
    Ok(())
}
