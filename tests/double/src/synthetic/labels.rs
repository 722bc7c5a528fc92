//! The classification of an asset: categories, tags, and the domain's own metadata.

use super::json::Json;
use super::oddities::Oddity;
use super::portals::Portal;
use super::topics::{TOPICS, Topic};
use crate::draw::Draw;

/// The highest number of tags of a recorded asset.
const MOST_TAGS: usize = 559;

const METADATA: [(&str, &[&str]); 9] = [
    (
        "Data-Information_Update-Frequency",
        &["Daily", "Weekly", "Monthly", "Annually", "As needed", "Not updated"],
    ),
    ("Data-Information_Steward-Office", &["Open Data Team", "Performance Office", "GIS Unit", ""]),
    ("Data-Information_Time-Period", &["2010 to present", "Last 12 months", "FY2019", "Current year"]),
    (
        "Data-Information_Unit-of-Analysis",
        &["One row a request", "One row a payment", "One row an inspection", ""],
    ),
    ("Geography_Smallest-Area", &["Block", "Census tract", "Point", "Citywide"]),
    ("Geography_Projection", &["WGS 84", "State plane, feet", ""]),
    ("Quality_Known-Gaps", &["None", "Paper records before 2014", "Two stations were offline in spring"]),
    ("Access_Public-Level", &["public", "public, aggregated"]),
    ("Access_Related-Document", &["See the dictionary", "Ordinance 12-07", ""]),
];

/// Writes `classification`.
pub(super) fn write(
    json: &mut Json<'_>,
    draw: &mut Draw,
    portal: &Portal,
    topic: &Topic,
    has: &dyn Fn(Oddity) -> bool,
) {
    json.key("classification").open();
    let categories = if draw.chance(0.6) { &[] } else { topic.categories };
    json.key("categories").texts(categories);
    // Six of 30,457 recorded objects have any, and only these. Publishers' tags are in `domain_tags`.
    let tag = if draw.chance(0.5) { "blds" } else { "lives" };
    json.key("tags").texts(draw.chance(0.001).then_some(tag));
    if draw.chance(0.76) {
        json.key("domain_category").text(topic.filed_under);
    }
    json.key("domain_tags");
    if has(Oddity::ManyTags) {
        many_tags(json);
    } else {
        let count = if draw.chance(0.2) { 0 } else { draw.within(1, topic.tags.len()) };
        json.texts(&topic.tags[..count]);
    }
    json.key("domain_metadata");
    metadata(json, draw, portal, has(Oddity::RepeatedKey));
    json.close();
}

fn many_tags(json: &mut Json<'_>) {
    let tags = TOPICS.iter().flat_map(|topic| topic.tags.iter().chain(topic.columns));
    let numbered = tags.cycle().enumerate().map(|(number, tag)| format!("{} {number}", tag.to_lowercase()));
    json.texts(numbered.take(MOST_TAGS));
}

fn metadata(json: &mut Json<'_>, draw: &mut Draw, portal: &Portal, repeat: bool) {
    let fields = if draw.chance(0.4) { 0 } else { draw.within(1, METADATA.len()) };
    json.open_list();
    for (key, values) in METADATA.iter().take(fields) {
        entry(json, key, draw.pick(values));
    }
    if repeat {
        entry(json, "Contact_Office", &portal.body);
        entry(json, "Contact_Office", &format!("{}, front desk", portal.body));
    }
    json.close_list();
}

fn entry(json: &mut Json<'_>, key: &str, value: &str) {
    json.open().key("key").text(key).key("value").text(value).close();
}
