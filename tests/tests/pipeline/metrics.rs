//! A running pair emits each metric that has a name, with its type and its labels, and no other one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use catalog_shared::events;
use catalog_shared::monitoring::names::{self, MetricKind};
use catalog_tests::docs::{Page, label_matchers};
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{MonitoringPort, Sent, World};

/// Files with queries.
const QUERIES: [&str; 3] = [
    "deploy/prometheus/alerts.yaml",
    "deploy/prometheus/tests.yaml",
    "deploy/grafana/dashboards/catalog-stream.json",
];
/// Labels whose values are names in the programs. Those of the others depend on who crawls what, and where.
const NAMED: [&str; 4] = ["kind", "outcome", "stage", "cause"];

/// The types of all metrics in a scrape.
fn types(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// The names of the labels of each metric in a scrape, without those of the format.
fn labels(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let series = line.split(' ').next().unwrap_or_default();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once('='));
        all.entry(name).or_default().extend(labels.map(|(label, _)| label).filter(|label| *label != "le"));
    }
    all
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The values of labels in queries that are not in a scrape, each with its series and its label.
fn unknown_values(queries: &str, scrape: &str) -> BTreeSet<String> {
    let values = |text| -> BTreeSet<String> {
        let matchers = label_matchers(text).into_iter().filter(|matcher| NAMED.contains(&matcher.label));
        let values = matchers.flat_map(|matcher| {
            matcher.values.into_iter().map(move |value| (matcher.series, matcher.label, value))
        });
        values.map(|(series, label, value)| format!("{series}{{{label}=\"{value}\"}}")).collect()
    };
    &values(queries) - &values(scrape)
}

/// Alert rules and dashboard, and the table of waits in the page on health, use the values that the programs emit.
fn check_values(scrape: &str) -> Result<()> {
    for path in QUERIES {
        // JSON escapes the quotes of a query.
        let unknown = unknown_values(&Page::read(path)?.text.replace("\\\"", "\""), scrape);
        ensure!(unknown.is_empty(), "{path}: the programs did not emit {unknown:?}");
    }
    let page = Page::read("docs/reference/health.md")?;
    let (_, waits) = page.text.split_once("\n## Waits\n").context("the page lists the waits")?;
    let rows = waits.lines().take_while(|line| !line.starts_with("## "));
    let described: BTreeSet<_> =
        rows.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let matchers = label_matchers(scrape).into_iter();
    let waits = matchers.filter(|matcher| matcher.series == names::CONSUMER_WAIT);
    assert_eq!(waits.flat_map(|wait| wait.values).collect::<BTreeSet<_>>(), described);
    Ok(())
}

/// The names that begin so.
fn expected(program: &str) -> BTreeSet<&'static str> {
    names::ALL.iter().map(|metric| metric.name).filter(|name| name.starts_with(program)).collect()
}

/// Waits until a program emits all its metrics, and checks their types and labels.
async fn complete(port: &MonitoringPort, program: &str) -> Result<String> {
    let expected = expected(program);
    let text = port.until_metrics(|text| expected.iter().all(|name| types(text).contains_key(name))).await?;
    let (types, labels) = (types(&text), labels(&text));
    for (name, kind) in &types {
        let metric = names::ALL.iter().find(|metric| metric.name == *name);
        let metric = metric.with_context(|| format!("{name} has no place in names.rs"))?;
        let word = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        assert_eq!(*kind, word, "{name}");
        assert_eq!(labels[name], metric.labels.iter().copied().collect(), "{name}");
        assert!(text.contains(&format!("# HELP {name} {}", metric.help)), "{name}");
    }
    Ok(text)
}

#[tokio::test]
async fn a_running_pair_emits_exactly_the_metrics_that_have_names() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    // Some pages are published, and the crawl goes on.
    let mut gate = api.hold(Matcher::pages().that(|request| request.sequence > 3));
    let scheduled = ["--metrics-addr", "0", "--every", "3650d"];
    let mut crawl = world.crawl(&api)?.args(scheduled).start()?;
    let producer = crawl.watched().await?;
    crawl.reaches(gate.arrived()).await?;
    let text = crawl.reaches(complete(&producer, "catalog_producer_")).await??;
    let mut scrape = text.clone();
    assert!(
        value(&text, "catalog_producer_requests_total{region=\"us\",outcome=\"ok\"}") >= Some(2.0),
        "{text}"
    );
    assert!(
        value(&text, "catalog_producer_transactions_total{region=\"us\",outcome=\"committed\"}") >= Some(1.0)
    );
    assert!(
        value(&text, "catalog_producer_objects_total{region=\"us\",kind=\"domains\"}") >= Some(4.0),
        "{text}"
    );
    assert_eq!(producer.get("/readyz").await?.0, 200);
    assert_eq!(producer.get("/healthz").await?.0, 200);
    gate.release();
    crawl.logged(events::CRAWL_SCHEDULED).await?;
    crawl.terminate()?;
    assert_eq!(crawl.ended().await?.code, Some(0));

    let dead = Sent { key: Some(b"us/nobody"), ..Sent::default() };
    world.send("hosts", dead).await?;
    let mut member = world.plain_run()?.args(["--metrics-addr", "0"]).start()?;
    let consumer = member.watched().await?;
    let text = member.reaches(complete(&consumer, "catalog_consumer_")).await??;
    let region = |name: &str| format!("catalog_consumer_{name}{{region=\"us\"}}");
    assert_eq!(value(&text, &region("held_runs")), Some(0.0), "{text}");
    assert_eq!(value(&text, &region("last_run_number")), Some(1.0));
    assert!(value(&text, &region("last_full_run_age_seconds")) < Some(600.0));
    let lag =
        format!("catalog_consumer_lag_records{{topic=\"{}\",partition=\"0\"}} 0\n", world.topic("datasets"));
    let text = consumer.until_metrics(|text| text.contains(&lag)).await?;
    let datasets =
        |outcome| format!("catalog_consumer_records_total{{kind=\"datasets\",outcome=\"{outcome}\"}}");
    assert_eq!(value(&text, &datasets("new")), Some(300.0), "{text}");
    let letters = format!("catalog_consumer_open_dead_letters{{topic=\"{}\"}}", world.topic("hosts"));
    assert_eq!(value(&text, &letters), Some(1.0), "{text}");
    // The last figure of a run, because it is decided about.
    let retired = "catalog_consumer_last_run_records{region=\"us\",outcome=\"retired\"}";
    scrape.push_str(&consumer.until_metrics(|text| value(text, retired).is_some()).await?);
    check_values(&scrape)
}

#[test]
fn a_value_that_no_program_emits_is_found_in_a_query() {
    let queries = "max(catalog_a{cause=~\"kafka|disk\", job=\"x\"}) + catalog_b{cause=\"kafka\"}";
    let unknown = unknown_values(queries, "catalog_a{cause=\"kafka\"} 0\ncatalog_a{cause=\"turn\"} 0\n");
    assert_eq!(
        unknown.into_iter().collect::<Vec<_>>(),
        ["catalog_a{cause=\"disk\"}", "catalog_b{cause=\"kafka\"}"]
    );
}

/// Each partition has its lag at the consumer that it is assigned to, and only there.
#[tokio::test]
async fn a_partition_that_moves_takes_its_gauges_with_it() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let start = async || -> Result<_> {
        let mut member = world.plain_run()?.args(["--metrics-addr", "0"]).start()?;
        let port = member.watched().await?;
        anyhow::Ok((member, port))
    };
    let count =
        |text: &str| text.lines().filter(|line| line.starts_with("catalog_consumer_lag_records{")).count();
    let (_first, one) = start().await?;
    one.until_metrics(|text| count(text) == 6).await?;
    let (_second, two) = start().await?;
    // In this order, because partitions only move from the first to the second.
    let two = two.until_metrics(|text| count(text) > 0).await?;
    let one = one.until_metrics(|_| true).await?;
    let partitions = |text: &str| -> BTreeSet<String> {
        let series = text.lines().filter(|line| line.starts_with("catalog_consumer_lag_records{"));
        series.filter_map(|line| Some(line.split_once('}')?.0.to_owned())).collect()
    };
    assert!(partitions(&one).is_disjoint(&partitions(&two)), "{one}\n{two}");
    Ok(())
}
