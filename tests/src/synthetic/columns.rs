//! The columns of tabular assets: five lists of equal length, as the API has them.

use super::draw::Draw;
use super::json::Json;
use super::kinds::Kind;
use super::oddities::Oddity;
use super::topics::Topic;

/// What the widest asset of the recordings had.
const MOST_COLUMNS: usize = 669;

/// Measures that tables grow wide by, one column a year.
const SERIES: [&str; 6] = ["Total", "Median", "Rate per 1,000", "Change Since", "Target", "Margin of Error"];

/// How the names of numbers end.
const NUMERIC: [&str; 14] = [
    "Count",
    "Miles",
    "Units",
    "Votes",
    "Meters",
    "Gallons",
    "Students",
    "Boardings",
    "Score",
    "Checkouts",
    "Limit",
    "Minutes",
    "Watts",
    "Acres",
];

struct Column {
    name: String,
    field_name: String,
    datatype: &'static str,
    description: String,
    format: &'static str,
}

/// Writes the five lists.
pub(super) fn write(
    json: &mut Json<'_>,
    draw: &mut Draw,
    kind: Kind,
    topic: &Topic,
    wide: &dyn Fn(Oddity) -> bool,
) {
    let widest = wide(Oddity::ManyColumns);
    let count = if widest { MOST_COLUMNS } else { count(draw, kind) };
    let columns: Vec<_> = (0..count).map(|place| column(draw, topic, place, widest)).collect();
    json.key("columns_name").texts(columns.iter().map(|column| &column.name));
    json.key("columns_field_name").texts(columns.iter().map(|column| &column.field_name));
    json.key("columns_datatype").texts(columns.iter().map(|column| column.datatype));
    json.key("columns_description").texts(columns.iter().map(|column| &column.description));
    json.key("columns_format").open_list();
    for column in &columns {
        json.raw(column.format);
    }
    json.close_list();
}

fn count(draw: &mut Draw, kind: Kind) -> usize {
    if !kind.is_tabular() || draw.chance(0.15) {
        return 0;
    }
    4 + usize::try_from(draw.skewed(kind.most_columns, 3)).unwrap_or_default()
}

fn column(draw: &mut Draw, topic: &Topic, place: usize, widest: bool) -> Column {
    let name = match topic.columns.get(place) {
        Some(name) => (*name).to_owned(),
        None => format!("{} {}", SERIES[place % SERIES.len()], 1990 + place / SERIES.len()),
    };
    let (datatype, format) = type_and_format(draw, &name);
    let description = if widest || draw.chance(0.2) { explain(draw, &name, widest) } else { String::new() };
    Column { field_name: field_name(&name), name, datatype, description, format }
}

fn field_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<_> =
        lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

fn explain(draw: &mut Draw, name: &str, widest: bool) -> String {
    let short = match draw.below(3) {
        0 => format!("{name}, as it was entered."),
        1 => format!("{name} of the record; empty where it is not known."),
        _ => format!("See the data dictionary for \"{name}\"."),
    };
    if !widest {
        return short;
    }
    format!(
        "{short} Estimated from the survey of that year, with replicate weights; years are not comparable across a change of boundaries."
    )
}

/// Older assets write types as titles and newer ones in lower case; formats are texts even of numbers.
fn type_and_format(draw: &mut Draw, name: &str) -> (&'static str, &'static str) {
    let old = draw.chance(0.8);
    let typed = |titled, plain| if old { titled } else { plain };
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match name {
        "Location" => (typed("Point", "point"), "{}"),
        "Boundary" => (typed("MultiPolygon", "multipolygon"), "{}"),
        "Path" => (typed("MultiLine", "multiline"), "{}"),
        "Website" => (typed("URL", "url"), "{}"),
        "Accessible" | "Valid" | "Active" | "Full Time" | "Helmet" | "Working" | "Estimated"
        | "Arrest Made" => (typed("Checkbox", "checkbox"), "{\"align\":\"center\"}"),
        _ if ends(&["Date"]) => {
            (typed("Calendar date", "calendar_date"), "{\"view\":\"date\",\"align\":\"left\"}")
        }
        _ if ends(&["Amount", "Value", "Cost", "Pay", "Funding"]) => (
            typed("Number", "number"),
            "{\"precision\":\"2\",\"align\":\"right\",\"currencyStyle\":\"USD\",\"humane\":\"false\",\"precisionStyle\":\"currency\"}",
        ),
        _ if ends(&["Percent"]) => {
            (typed("Number", "number"), "{\"precisionStyle\":\"percentage\",\"percentScale\":\"100\"}")
        }
        _ if name.bytes().any(|byte| byte.is_ascii_digit()) || ends(&NUMERIC) => (
            typed("Number", "number"),
            "{\"precisionStyle\":\"standard\",\"noCommas\":\"false\",\"align\":\"right\"}",
        ),
        _ => (typed("Text", "text"), "{}"),
    }
}
