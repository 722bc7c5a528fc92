//! One asset in the form of the API.

use super::columns;
use super::json::Json;
use super::labels;
use super::oddities::Oddity;
use super::sketch::Sketch;
use super::text;
use super::times;
use crate::draw::{Aspect, Draw};

const LICENSES: [&str; 5] = [
    "Public Domain",
    "Creative Commons Attribution 4.0 International (CC BY 4.0)",
    "See Terms of Use",
    "Open Data Commons Attribution License",
    "Creative Commons 1.0 Universal (Public Domain Dedication)",
];

const FILE_TYPES: [&str; 4] = [
    "application/pdf; charset=binary",
    "application/zip; charset=binary",
    "text/plain; charset=us-ascii",
    "image/png; charset=binary",
];

/// Owners and creators. None of them is a real person.
const OWNERS: [&str; 5] =
    ["Open Data Team", "GIS Unit", "Data Steward", "Portal Administrator", "Publishing Robot"];

/// Writes a result object.
pub(super) fn write(sketch: &Sketch<'_>, out: &mut Vec<u8>) {
    let json = &mut Json::new(out);
    json.open();
    resource(json, sketch);
    let has = |oddity| sketch.has(oddity);
    labels::write(json, &mut sketch.draw(Aspect::Labels), sketch.portal, sketch.topic, &has);
    let extras = &mut sketch.draw(Aspect::Extras);
    metadata(json, sketch, extras);
    links(json, sketch, extras);
    people(json, sketch);
    json.close();
}

fn resource(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    json.key("resource").open();
    json.key("name").text(sketch.name());
    json.key("id").text(&sketch.id);
    parents(json, sketch);
    texts(json, sketch);
    json.key("type").text(sketch.kind.name);
    dates(json, sketch);
    page_views(json, sketch);
    let has = |oddity| sketch.has(oddity);
    columns::write(json, &mut sketch.draw(Aspect::Columns), sketch.kind, sketch.topic_number, &has);
    json.key("download_count");
    match sketch.downloads() {
        Some(downloads) => json.integer(downloads),
        None => json.null(),
    };
    lens(json, sketch);
    json.close();
}

fn parents(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    json.key("parent_fxf");
    if sketch.has(Oddity::OldShape) {
        json.null();
    } else {
        json.texts(sketch.parents());
    }
}

fn texts(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    let has = |oddity| sketch.has(oddity);
    let draw = &mut sketch.draw(Aspect::Text);
    let mut description = text::description(draw, sketch.portal, sketch.topic, &has);
    if let Some(revision) = sketch.edit() {
        description.push_str(&format!(" (Revision {revision})"));
    }
    json.key("description").text(&description);
    let attribution = text::attribution(draw, sketch.portal, &has);
    json.key("attribution").maybe_text(attribution.as_deref());
    if !has(Oddity::OldShape) {
        let link = draw.chance(0.3).then(|| format!("https://www.{}/offices", sketch.portal.host));
        json.key("attribution_link").maybe_text(link.as_deref());
    }
    json.key("contact_email").maybe_text(text::contact(draw, sketch.portal, &has).as_deref());
}

fn dates(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    let dates = sketch.times();
    json.key("updatedAt").text(&times::text(dates.updated));
    json.key("createdAt").text(&times::text(dates.created));
    if sketch.has(Oddity::OldShape) {
        return;
    }
    json.key("metadata_updated_at").text(&times::text(dates.metadata));
    let dated = !sketch.kind.undated || sketch.draw(Aspect::Extras).chance(0.5);
    let data = dated.then(|| times::text(dates.data));
    json.key("data_updated_at").maybe_text(data.as_deref());
}

fn page_views(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    let Some(views) = sketch.page_views() else { return };
    let counts = [
        ("page_views_last_week", views.last_week),
        ("page_views_last_month", views.last_month),
        ("page_views_total", views.total),
    ];
    json.key("page_views").open();
    for (key, count) in counts {
        json.key(key).integer(count);
    }
    for (key, count) in counts {
        json.key(&format!("{key}_log")).float((count as f64 + 1.0).log2());
    }
    json.close();
}

/// Fields that the API had only in some years.
fn lens(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    let draw = &mut sketch.draw(Aspect::Extras);
    if !draw.chance(0.02) {
        json.key("provenance").text(if draw.chance(0.06) { "community" } else { "official" });
    }
    json.key("lens_view_type").text(sketch.kind.lens);
    if draw.chance(0.3) {
        json.key("lens_display_type").text(if sketch.kind.is_tabular() { "table" } else { sketch.kind.name });
        json.key("locked").boolean(draw.chance(0.02));
    }
    let mime = (sketch.kind.lens == "blobby").then(|| draw.pick(&FILE_TYPES));
    json.key("blob_mime_type").maybe_text(mime);
    json.key("hide_from_data_json").boolean(draw.chance(0.05));
    if draw.chance(0.05) {
        json.key("resource_name").text(&text::slug(sketch.name()).to_lowercase());
    }
    if !sketch.has(Oddity::OldShape) {
        json.key("publication_date").text(&times::text(sketch.times().published));
    }
}

fn metadata(json: &mut Json<'_>, sketch: &Sketch<'_>, draw: &mut Draw) {
    json.key("metadata").open();
    json.key("domain").text(&sketch.portal.host);
    if draw.chance(0.5) {
        json.key("license").text(draw.pick(&LICENSES));
    }
    if sketch.kind.lens == "href" {
        let page = format!("https://www.{}/{}", sketch.portal.host, text::slug(sketch.name()));
        json.key("access_points").open().key("text/html").text(&page).close();
    }
    json.close();
}

fn links(json: &mut Json<'_>, sketch: &Sketch<'_>, draw: &mut Draw) {
    let (host, id) = (&sketch.portal.host, &sketch.id);
    let category = text::slug(sketch.topic.filed_under);
    json.key("permalink").text(&format!("https://{host}/d/{id}"));
    json.key("link").text(&format!("https://{host}/{category}/{}/{id}", text::slug(sketch.name())));
    if draw.chance(0.1) {
        json.key("preview_image_url").text(&format!("https://{host}/views/{id}/files/{:032x}", draw.bits()));
    }
    if draw.chance(0.01) {
        json.key("published_copy").open().key("id").text(&super::spell(draw.bits())).close();
    }
}

fn people(json: &mut Json<'_>, sketch: &Sketch<'_>) {
    let draw = &mut sketch.draw(Aspect::People);
    json.key("owner");
    person(json, draw);
    if draw.chance(0.5) {
        json.key("creator");
        person(json, draw);
    }
}

fn person(json: &mut Json<'_>, draw: &mut Draw) {
    let name = format!("{} {}", draw.pick(&OWNERS), draw.within(1, 40));
    json.open().key("id").text(&super::spell(draw.bits())).key("display_name").text(&name);
    if draw.chance(0.6) {
        json.key("user_type").text("interactive");
    }
    json.close();
}
