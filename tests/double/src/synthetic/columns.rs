//! The columns of tabular assets: five lists of equal length, as in the API.

use std::sync::LazyLock;

use super::json::Json;
use super::kinds::Kind;
use super::oddities::Oddity;
use super::topics::TOPICS;
use crate::draw::Draw;

/// The number of columns of the widest recorded asset.
const MOST_COLUMNS: usize = 669;

/// Measures with one column per year, which make tables wide.
const SERIES: [&str; 6] = ["Total", "Median", "Rate per 1,000", "Change Since", "Target", "Margin of Error"];

/// The last words of names of numbers.
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

/// The last words of names of amounts of money.
const MONEY: [&str; 5] = ["Amount", "Value", "Cost", "Pay", "Funding"];

/// Checkbox columns.
const YES_OR_NO: [&str; 8] =
    ["Accessible", "Valid", "Active", "Full Time", "Helmet", "Working", "Estimated", "Arrest Made"];

const NUMBER: [&str; 2] = ["Number", "number"];
const NUMBER_FORMAT: &str = r#"{"precisionStyle":"standard","noCommas":"false","align":"right"}"#;
const MONEY_FORMAT: &str =
    r#"{"precision":"2","align":"right","currencyStyle":"USD","humane":"false","precisionStyle":"currency"}"#;

/// The properties that follow from a column's name. They are computed once, because a wide catalog has millions of columns.
struct Named {
    name: String,
    field_name: String,
    /// The type as older and as newer assets write it.
    datatypes: [&'static str; 2],
    /// Formats are texts, even of numbers.
    format: &'static str,
}

/// The columns that each topic begins with.
static BY_TOPIC: LazyLock<Vec<Vec<Named>>> = LazyLock::new(|| {
    TOPICS
        .iter()
        .map(|topic| topic.columns.iter().map(|name| Named::new((*name).to_owned())).collect())
        .collect()
});

/// The columns that follow, by their place in the table.
static BY_PLACE: LazyLock<Vec<Named>> = LazyLock::new(|| {
    let names = (0..MOST_COLUMNS)
        .map(|place| format!("{} {}", SERIES[place % SERIES.len()], 1990 + place / SERIES.len()));
    names.map(Named::new).collect()
});

struct Column {
    named: &'static Named,
    datatype: &'static str,
    description: String,
}

/// Writes the five lists of an asset about the topic with this number.
pub(super) fn write(
    json: &mut Json<'_>,
    draw: &mut Draw,
    kind: Kind,
    topic: usize,
    has: &dyn Fn(Oddity) -> bool,
) {
    let widest = has(Oddity::ManyColumns);
    let count = if widest { MOST_COLUMNS } else { count(draw, kind) };
    let names = BY_TOPIC[topic].iter().chain(BY_PLACE.iter().skip(BY_TOPIC[topic].len()));
    let columns: Vec<_> = names.take(count).map(|named| Column::drawn(draw, named, widest)).collect();
    json.key("columns_name").texts(columns.iter().map(|column| &column.named.name));
    json.key("columns_field_name").texts(columns.iter().map(|column| &column.named.field_name));
    json.key("columns_datatype").texts(columns.iter().map(|column| column.datatype));
    json.key("columns_description").texts(columns.iter().map(|column| &column.description));
    json.key("columns_format").open_list();
    for column in &columns {
        json.raw(column.named.format);
    }
    json.close_list();
}

fn count(draw: &mut Draw, kind: Kind) -> usize {
    if !kind.is_tabular() || draw.chance(0.15) {
        return 0;
    }
    4 + usize::try_from(draw.skewed(kind.most_columns, 4)).unwrap_or_default()
}

impl Column {
    fn drawn(draw: &mut Draw, named: &'static Named, widest: bool) -> Self {
        let datatype = named.datatypes[usize::from(draw.chance(0.2))];
        let described = widest || draw.chance(0.2);
        let description = if described { explain(draw, &named.name, widest) } else { String::new() };
        Self { named, datatype, description }
    }
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

impl Named {
    fn new(name: String) -> Self {
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        let (datatypes, format) = match name.as_str() {
            "Location" => (["Point", "point"], "{}"),
            "Boundary" => (["MultiPolygon", "multipolygon"], "{}"),
            "Path" => (["MultiLine", "multiline"], "{}"),
            "Website" => (["URL", "url"], "{}"),
            name if YES_OR_NO.contains(&name) => (["Checkbox", "checkbox"], r#"{"align":"center"}"#),
            _ if ends(&["Date"]) => (["Calendar date", "calendar_date"], r#"{"view":"date","align":"left"}"#),
            _ if ends(&MONEY) => (NUMBER, MONEY_FORMAT),
            _ if ends(&["Percent"]) => (NUMBER, r#"{"precisionStyle":"percentage","percentScale":"100"}"#),
            _ if ends(&NUMERIC) || name.bytes().any(|byte| byte.is_ascii_digit()) => (NUMBER, NUMBER_FORMAT),
            _ => (["Text", "text"], "{}"),
        };
        Self { field_name: field_name(&name), name, datatypes, format }
    }
}

fn field_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}
