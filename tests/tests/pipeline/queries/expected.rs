//! The expected results of queries, computed from the served objects only.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{Filled, PORTAL};

/// The headings of the queries whose result is computed here.
pub(super) const TITLES: [&str; 12] = [
    "New this week",
    "Gone this month",
    "What changed on a portal",
    "Tables with an API address",
    "Tables with a column of this name",
    "By tag",
    "The most used tags of a portal",
    "By words of the title",
    "The most viewed tables of the last month",
    "Who publishes on a portal",
    "Stale portals",
    "Titles that occur more than once on a portal",
];

/// Some columns of a result, sorted, because not every query defines the order of ties.
pub(super) struct Expected {
    columns: &'static [&'static str],
    pub(super) rows: Vec<Value>,
}

impl Expected {
    fn new(columns: &'static [&'static str], mut rows: Vec<Value>) -> Self {
        rows.sort_by_key(Value::to_string);
        Self { columns, rows }
    }

    /// The same columns of a result.
    pub(super) fn found_in(&self, answer: &[Value]) -> Vec<Value> {
        let columns = |row: &Value| self.columns.iter().map(|column| row[column].clone()).collect();
        Self::new(self.columns, answer.iter().map(columns).collect()).rows
    }
}

/// The expected result of the query under a heading. None if it is not computed here.
pub(super) fn expected(title: &str, filled: &Filled) -> Option<Expected> {
    let all = filled.objects.as_slice();
    let permalinks = |has: &dyn Fn(&Value) -> bool| {
        let found = all.iter().filter(|object| has(object)).map(|object| json!([object["permalink"]]));
        Expected::new(&["permalink"], found.collect())
    };
    let names = |has: &dyn Fn(&Value) -> bool| {
        let found = all.iter().filter(|object| has(object)).map(|object| json!([domain(object), id(object)]));
        Expected::new(&["domain", "id"], found.collect())
    };
    Some(match title {
        "New this week" => permalinks(&|object| is_within(object, "createdAt", 7)),
        "Gone this month" => {
            Expected::new(&["permalink"], filled.gone.iter().map(|link| json!([link])).collect())
        }
        "What changed on a portal" => changed(filled),
        "Tables with an API address" => addresses(all),
        "Tables with a column of this name" => {
            names(&|object| holds(&object["resource"]["columns_field_name"], "site_address"))
        }
        "By tag" => permalinks(&|object| holds(&object["classification"]["domain_tags"], "parks")),
        "The most used tags of a portal" => tags(all),
        "By words of the title" => {
            permalinks(&|object| text(&object["resource"]["name"]).to_lowercase().contains("budget"))
        }
        "The most viewed tables of the last month" => most_viewed(all),
        "Who publishes on a portal" => agencies(all),
        "Stale portals" => stale(all),
        "Titles that occur more than once on a portal" => repeated_titles(all),
        _ => return None,
    })
}

fn changed(filled: &Filled) -> Expected {
    let here = filled.objects.iter().filter(|object| domain(object) == PORTAL);
    let what = |object: &Value| {
        if is_within(object, "createdAt", 30) {
            Some("new")
        } else {
            is_within(object, "updatedAt", 30).then_some("changed")
        }
    };
    let there = here.filter_map(|object| Some(json!([what(object)?, object["permalink"]])));
    let gone = filled.gone.iter().filter(|link| link.contains(PORTAL)).map(|link| json!(["retired", link]));
    Expected::new(&["what", "permalink"], there.chain(gone).collect())
}

fn addresses(all: &[Value]) -> Expected {
    let is_table = |object: &&Value| {
        domain(object) == PORTAL && ["dataset", "filter"].contains(&text(&object["resource"]["type"]))
    };
    let addresses = |object| {
        let soda_2 = format!("https://{PORTAL}/resource/{}.json", id(object));
        json!([soda_2, format!("https://{PORTAL}/api/v3/views/{}/query.json", id(object))])
    };
    Expected::new(&["resource_url", "query_url"], all.iter().filter(is_table).map(addresses).collect())
}

fn tags(all: &[Value]) -> Expected {
    let mut assets = BTreeMap::new();
    for object in all.iter().filter(|object| domain(object) == PORTAL) {
        for tag in object["classification"]["domain_tags"].as_array().into_iter().flatten() {
            *assets.entry(text(tag)).or_insert(0) += 1;
        }
    }
    let mut most: Vec<_> = assets.into_iter().collect();
    most.sort_by_key(|(tag, assets)| (Reverse(*assets), *tag));
    let rows = most.into_iter().take(20).map(|(tag, assets)| json!([tag, assets]));
    Expected::new(&["tag", "assets"], rows.collect())
}

fn most_viewed(all: &[Value]) -> Expected {
    let tables = all.iter().filter(|object| object["resource"]["type"] == "dataset");
    let views = |object: &Value| object["resource"]["page_views"]["page_views_last_month"].as_i64();
    let mut views: Vec<_> = tables.filter_map(views).collect();
    views.sort_unstable();
    let most = views.into_iter().rev().take(20).map(|views| json!([views]));
    Expected::new(&["page_views_last_month"], most.collect())
}

fn agencies(all: &[Value]) -> Expected {
    let mut assets = BTreeMap::new();
    for object in all.iter().filter(|object| domain(object) == PORTAL) {
        let agency = text(&object["resource"]["attribution"]).trim();
        if !agency.is_empty() {
            *assets.entry(agency).or_insert(0) += 1;
        }
    }
    Expected::new(
        &["agency", "assets"],
        assets.iter().map(|(agency, assets)| json!([agency, assets])).collect(),
    )
}

fn stale(all: &[Value]) -> Expected {
    let mut newest = BTreeMap::new();
    for object in all {
        let date = time(object, "updatedAt");
        let known = newest.entry(domain(object)).or_insert(date);
        *known = date.max(*known);
    }
    let year_ago = OffsetDateTime::now_utc() - Duration::days(366);
    let stale = newest.iter().filter(|(_, newest)| newest.is_some_and(|date| date < year_ago));
    Expected::new(&["domain"], stale.map(|(domain, _)| json!([domain])).collect())
}

fn repeated_titles(all: &[Value]) -> Expected {
    let mut titles = BTreeMap::new();
    for object in all {
        *titles.entry((domain(object), text(&object["resource"]["name"]))).or_insert(0) += 1;
    }
    let repeated = titles.iter().filter(|(_, assets)| **assets > 1);
    let rows = repeated.map(|((domain, title), assets)| json!([domain, title, assets]));
    Expected::new(&["domain", "name", "assets"], rows.collect())
}

fn is_within(object: &Value, field: &str, days: i64) -> bool {
    time(object, field).is_some_and(|time| time > OffsetDateTime::now_utc() - Duration::days(days))
}

fn time(object: &Value, field: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text(&object["resource"][field]), &Rfc3339).ok()
}

fn holds(list: &Value, item: &str) -> bool {
    list.as_array().is_some_and(|items| items.contains(&item.into()))
}

fn domain(object: &Value) -> &str {
    text(&object["metadata"]["domain"])
}

fn id(object: &Value) -> &str {
    text(&object["resource"]["id"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
