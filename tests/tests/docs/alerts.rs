//! The alert rules, their page and the dashboard agree with each other and with the metrics of `names.rs`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use catalog_shared::region::Region;
use catalog_tests::docs::{LabelMatcher, Page, anchors, label_matchers, prose};
use serde_json::Value;

use crate::metrics::{metric, unknown_metrics};

const RULES: &str = "deploy/prometheus/alerts.yaml";
const TESTS: &str = "deploy/prometheus/tests.yaml";
const PAGE: &str = "docs/how-to/alerts.md";
const DASHBOARD: &str = "deploy/grafana/dashboards/catalog-stream.json";

/// The lines `key: value` of a rule, also those of its labels and annotations.
type Rule<'a> = BTreeMap<&'a str, &'a str>;

/// The rules of a file, in which every key has a line of its own.
fn rules(text: &str) -> Result<Vec<Rule<'_>>> {
    let mut rules: Vec<Rule<'_>> = Vec::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        let first = line.strip_prefix("- ");
        let Some((key, value)) = first.unwrap_or(line).split_once(": ") else { continue };
        if first.is_some() && matches!(key, "alert" | "record") {
            rules.push(Rule::new());
        }
        let Some(rule) = rules.last_mut() else { continue };
        let is_group = first.is_some() && key == "name";
        if !is_group && rule.insert(key, value.trim_matches('"')).is_some() {
            bail!("a rule has two lines `{key}`: {rule:?}");
        }
    }
    let starts = text.matches("- alert:").count() + text.matches("- record:").count();
    ensure!(rules.len() == starts, "{} rules of {starts} were read", rules.len());
    Ok(rules)
}

/// The names of the alerts (`alert`) or of the recorded series (`record`).
fn names<'a>(rules: &[Rule<'a>], kind: &str) -> BTreeSet<&'a str> {
    rules.iter().filter_map(|rule| rule.get(kind).copied()).collect()
}

/// The names in a text that begin with `start`, such as `CatalogStale`.
fn words<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let all = text.split(|c: char| !matches!(c, '_' | ':') && !c.is_ascii_alphanumeric());
    all.map(|word| word.trim_end_matches(':')).filter(|word| is_name(word, start)).collect()
}

fn is_name(word: &str, start: &str) -> bool {
    word.strip_prefix(start)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()) || start.ends_with(':'))
}

/// What is wrong with an alert rule.
fn problem(rule: &Rule<'_>, anchors: &[String]) -> Option<String> {
    let name = rule.get("alert")?;
    let missing = ["expr", "for", "summary", "description"].iter().find(|key| !rule.contains_key(*key));
    if let Some(key) = missing {
        return Some(format!("{name} has no {key}"));
    }
    if !matches!(rule.get("severity"), Some(&("warning" | "critical"))) {
        return Some(format!("{name} is neither a warning nor critical"));
    }
    let anchor = name.to_lowercase();
    if rule.get("runbook_url") != Some(&format!("{PAGE}#{anchor}").as_str()) {
        return Some(format!("{name} has another runbook_url than {PAGE}#{anchor}"));
    }
    (!anchors.contains(&anchor)).then(|| format!("{PAGE} has no heading {name}"))
}

#[test]
fn each_alert_is_complete_and_leads_to_its_section_of_the_page() -> Result<()> {
    let (file, page) = (Page::read(RULES)?, Page::read(PAGE)?);
    let (rules, anchors) = (rules(&file.text)?, anchors(&page.text));
    let problems: Vec<String> = rules.iter().filter_map(|rule| problem(rule, &anchors)).collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// A row of the page's table: the name and the severity.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| [")?.split('|').map(str::trim);
    Some((cells.next()?.split(']').next()?, cells.next()?))
}

#[test]
fn the_page_lists_each_alert_with_its_severity_and_no_other() -> Result<()> {
    let (file, page) = (Page::read(RULES)?, Page::read(PAGE)?);
    let rules = rules(&file.text)?;
    let alerts = names(&rules, "alert");
    let headings: BTreeSet<&str> =
        prose(&page.text).filter_map(|(_, line)| line.strip_prefix("### ")).collect();
    ensure!(headings == alerts, "sections {headings:?} and alerts {alerts:?}");
    ensure!(words(&page.text, "Catalog") == alerts, "{PAGE} names another alert than {alerts:?}");
    let rows: BTreeMap<&str, &str> = page.text.lines().filter_map(row).collect();
    for rule in rules.iter().filter(|rule| rule.contains_key("alert")) {
        let (name, severity) = (rule["alert"], rule["severity"]);
        ensure!(rows.get(name) == Some(&severity), "{PAGE}: {name} is {:?}, not {severity}", rows.get(name));
    }
    Ok(())
}

/// A limit that is not recorded would silently switch off its alert.
#[test]
fn limits_are_recorded_and_listed_in_the_page() -> Result<()> {
    let (file, page) = (Page::read(RULES)?, Page::read(PAGE)?);
    let rules = rules(&file.text)?;
    let recorded = names(&rules, "record");
    ensure!(words(&file.text, "catalog:") == recorded, "{RULES} uses a limit that is not among {recorded:?}");
    ensure!(words(&page.text, "catalog:") == recorded, "{PAGE} lists other limits than {recorded:?}");
    Ok(())
}

/// `promtool` runs these tests in `make check`.
#[test]
fn each_alert_has_a_test_in_which_it_fires() -> Result<()> {
    let (file, tests) = (Page::read(RULES)?, Page::read(TESTS)?);
    let fires = |name: &str| tests.text.contains(&format!("{PAGE}#{}", name.to_lowercase()));
    let rules = rules(&file.text)?;
    let untested: Vec<&str> = names(&rules, "alert").into_iter().filter(|name| !fires(name)).collect();
    ensure!(untested.is_empty(), "no test in {TESTS} fires {untested:?}");
    Ok(())
}

#[test]
fn rules_and_dashboard_use_only_metrics_that_exist() -> Result<()> {
    for path in [RULES, TESTS, DASHBOARD] {
        let file = Page::read(path)?;
        let unknown = unknown_metrics(&file.text);
        ensure!(unknown.is_empty(), "{path}: no program has {unknown:?}");
    }
    Ok(())
}

/// Whether a series can have this label and, for a region, each of these values. Prometheus itself adds `job` and `instance`.
fn is_possible(matcher: &LabelMatcher<'_>) -> bool {
    let labels = metric(matcher.series).map(|metric| metric.labels).unwrap_or_default();
    let is_region = |name: &&str| Region::from_name(name).is_some();
    match matcher.label {
        "job" | "instance" => true,
        "region" => labels.contains(&"region") && matcher.values.iter().all(is_region),
        label => labels.contains(&label),
    }
}

/// That a running pair emits the values of the other labels is a test of the pipeline.
#[test]
fn rules_and_dashboard_use_only_labels_that_the_metrics_have() -> Result<()> {
    for path in [RULES, TESTS, DASHBOARD] {
        // JSON escapes the quotes of a query.
        let text = Page::read(path)?.text.replace("\\\"", "\"");
        let matchers = label_matchers(&text);
        ensure!(!matchers.is_empty(), "{path} has no label matchers");
        let wrong: Vec<_> = matchers.iter().filter(|matcher| !is_possible(matcher)).collect();
        ensure!(wrong.is_empty(), "{path}: no program emits {wrong:?}");
    }
    Ok(())
}

#[test]
fn a_label_that_a_metric_does_not_have_is_a_problem() {
    let text = "catalog_consumer_wait_seconds{cause=\"kafka\", job=\"a\"} catalog_consumer_wait_seconds{reason=\"kafka\"}
        catalog_consumer_batch_stage_seconds_sum{stage=\"rows\"} catalog_consumer_held_runs{region=~\"us|uk\"}";
    let possible: Vec<_> = label_matchers(text).iter().map(is_possible).collect();
    assert_eq!(possible, [true, true, false, true, false]);
}

/// The queries of a panel.
fn queries(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    targets.iter().filter_map(|target| target["expr"].as_str()).collect()
}

#[test]
fn each_panel_of_the_dashboard_queries_a_metric_or_the_alerts() -> Result<()> {
    let (file, page) = (Page::read(DASHBOARD)?, Page::read(RULES)?);
    let dashboard: Value = serde_json::from_str(&file.text).context(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("the dashboard has no panels")?;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let (title, queries) = (&panel["title"], queries(panel));
        ensure!(!queries.is_empty(), "{title} has no query");
        let other = queries.iter().find(|query| !query.contains("catalog_") && !query.contains("ALERTS{"));
        ensure!(other.is_none(), "{title} queries nothing of this project: {other:?}");
    }
    let (used, rules) = (words(&file.text, "Catalog"), rules(&page.text)?);
    ensure!(
        used.is_subset(&names(&rules, "alert")),
        "{DASHBOARD} names an alert that does not exist: {used:?}"
    );
    Ok(())
}

#[test]
fn an_incomplete_alert_is_a_problem() -> Result<()> {
    let text = "- name: g\n  rules:\n  - alert: CatalogX\n    expr: up == 0\n    for: 5m\n    labels:\n      severity: warning\n    annotations:\n      summary: \"a\"\n      description: b\n      runbook_url: docs/how-to/alerts.md#catalogx\n";
    let known = ["catalogx".to_owned()];
    let complete = rules(text)?;
    assert_eq!((problem(&complete[0], &known), complete[0]["summary"]), (None, "a"));
    assert_eq!(problem(&complete[0], &[]), Some("docs/how-to/alerts.md has no heading CatalogX".to_owned()));
    for (line, expected) in [
        ("      summary: \"a\"\n", "CatalogX has no summary"),
        ("      severity: warning\n", "CatalogX is neither a warning nor critical"),
        ("#catalogx", "CatalogX has another runbook_url than docs/how-to/alerts.md#catalogx"),
    ] {
        assert_eq!(problem(&rules(&text.replace(line, ""))?[0], &known).as_deref(), Some(expected));
    }
    assert_eq!(words("x CatalogX: catalog:a:limit Catalogue", "Catalog"), BTreeSet::from(["CatalogX"]));
    Ok(())
}
