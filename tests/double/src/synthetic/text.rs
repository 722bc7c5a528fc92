//! Names, descriptions and contacts.

use super::oddities::Oddity;
use super::portals::Portal;
use super::topics::Topic;
use crate::draw::Draw;

/// The API cuts descriptions off here, in characters.
const LONGEST_DESCRIPTION: usize = 4_000;
const LONG_ATTRIBUTION: usize = 531;

/// Common names, so that a name is not a key: about one in five assets has one of these.
const COMMON_NAMES: [&str; 5] =
    ["Untitled map", "Locations", "Annual Report", "Untitled visualization", "Budget"];
const SHARE_OF_COMMON_NAMES: f64 = 0.2;

const AREAS: [&str; 16] = [
    "Ward",
    "District",
    "Precinct",
    "Neighborhood",
    "Zip Code",
    "Census Tract",
    "Council District",
    "Beat",
    "Community Area",
    "School Zone",
    "Watershed",
    "Corridor",
    "Township",
    "Block Group",
    "Service Area",
    "Borough",
];

const FLAVORS: [&str; 12] = [
    "Current",
    "Historical",
    "Monthly",
    "Quarterly",
    "Open",
    "Closed",
    "Completed",
    "Pending",
    "Citywide",
    "Summary of",
    "Detailed",
    "Café & Market",
];

const SENTENCES: [&str; 16] = [
    "The data is kept by the {body} and is published as it is, without a warranty of any kind.",
    "Rows are added on the night after the event and may change for thirty days.",
    "Before 2014 the records were kept on paper; older years are therefore incomplete.",
    "Addresses are rounded to the block, so that no household can be reported from another.",
    "For questions about a single record please write to the office that is named as the source.",
    "A row is counted once, even when several crews worked on it on the same day.",
    "Amounts are in dollars of the year and are not adjusted for prices.",
    "In {place} the fiscal year begins on July 1 and is named after the year in which it ends.",
    "Where a value was not measured the cell is empty; a zero is a zero.",
    "Coordinates are in WGS 84 and were matched to the street network of {place}.",
    "This replaces the monthly spreadsheet that used to be sent out on request.",
    "See the data dictionary for the codes, and mind that code 99 means \"unknown\".",
    "Records under review by a court are left out until the case is closed.",
    "The refresh runs each weekday at 6 a.m.; on holidays it is skipped.",
    "Totals differ slightly from the annual report – the report was printed before the last corrections.",
    "Please cite the {body} when you use this, and tell us what you made of it!",
];

/// Sentences with characters that other programs introduced.
const ODD_CHARACTERS: [(Oddity, &str); 4] = [
    (Oddity::ZeroWidthSpace, " Do not sum over\u{200b} years."),
    (Oddity::SoftHyphen, " Subject to mainte\u{ad}nance."),
    (Oddity::UnitSeparator, " Fields are separated by\u{1f}as in the old system."),
    (Oddity::C1Controls, " The office\u{92}s own figures \u{96} not audited."),
];

/// The asset's name.
pub(super) fn name(draw: &mut Draw, topic: &Topic) -> String {
    if draw.chance(SHARE_OF_COMMON_NAMES) {
        let common = usize::try_from(draw.skewed(COMMON_NAMES.len() as u64, 2)).unwrap_or_default();
        return COMMON_NAMES[common].to_owned();
    }
    let (flavor, area, number) = (draw.pick(&FLAVORS), draw.pick(&AREAS), draw.within(1, 60));
    let year = draw.within(2008, 2025);
    match draw.below(4) {
        0 => format!("{flavor} {}, {area} {number}, {year}", topic.title),
        1 => format!("{} by {area} – {flavor} {year} (No. {number})", topic.title),
        2 => format!("{year} {flavor} {} / {area} {number}", topic.title),
        _ => format!("{} - {area} {number} - {flavor} {year}", topic.title),
    }
}

/// The description. Empty if there is none.
pub(super) fn description(
    draw: &mut Draw,
    portal: &Portal,
    topic: &Topic,
    has: &dyn Fn(Oddity) -> bool,
) -> String {
    if has(Oddity::LongestDescription) {
        // In bytes. The number of characters is lower, but more than half.
        let text = prose(draw, portal, topic, 2 * LONGEST_DESCRIPTION, " ");
        return text.chars().take(LONGEST_DESCRIPTION).collect();
    }
    if has(Oddity::EmptyDescription) {
        return String::new();
    }
    let length = 120 + usize::try_from(draw.skewed(2_600, 5)).unwrap_or_default();
    let breaks = if has(Oddity::Html) { "<br />\r\n<br />\r\n" } else { " " };
    let mut text = prose(draw, portal, topic, length, breaks);
    if has(Oddity::Html) {
        text = format!("<p><b>{}</b> &amp; more</p>\r\n<div class=\"about\">{text}</div>", topic.title);
    }
    for (oddity, odd) in ODD_CHARACTERS {
        if has(oddity) {
            text.push_str(odd);
        }
    }
    text
}

/// Sentences until they are at least `length` bytes together.
fn prose(draw: &mut Draw, portal: &Portal, topic: &Topic, length: usize, breaks: &str) -> String {
    let mut text = topic.about.to_owned();
    while text.len() < length {
        text.push_str(breaks);
        fill(&mut text, draw.pick(&SENTENCES), portal);
    }
    text
}

/// Appends a sentence with its placeholders filled in.
fn fill(text: &mut String, sentence: &str, portal: &Portal) {
    let mut rest = sentence;
    while let Some((before, blank)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = blank.split_once('}').unwrap_or((blank, ""));
        text.push_str(if name == "place" { portal.place } else { &portal.body });
        rest = after;
    }
    text.push_str(rest);
}

/// The attribution: null in four of ten.
pub(super) fn attribution(draw: &mut Draw, portal: &Portal, has: &dyn Fn(Oddity) -> bool) -> Option<String> {
    let agency = &portal.agencies[draw.index(portal.agencies.len())];
    if has(Oddity::LongAttribution) {
        let all = portal.agencies.iter().cycle().take(60).cloned().collect::<Vec<_>>().join("; ");
        return Some(all.chars().take(LONG_ATTRIBUTION).collect());
    }
    if has(Oddity::BlankAttribution) {
        return Some("   ".to_owned());
    }
    if has(Oddity::PaddedAttribution) {
        return Some(format!("\u{a0} {agency}\t"));
    }
    draw.chance(0.6).then(|| agency.clone())
}

/// The contact's address. About half of the assets have none.
pub(super) fn contact(draw: &mut Draw, portal: &Portal, has: &dyn Fn(Oddity) -> bool) -> Option<String> {
    let mailbox = draw.pick(&["opendata", "gis", "records", "info"]);
    let address = format!("{mailbox}@{}", portal.host);
    if has(Oddity::PaddedEmail) {
        return Some(format!(" {address}  "));
    }
    if has(Oddity::UrlForEmail) {
        return Some(format!("https://www.{}/contact", portal.host));
    }
    match draw.below(4) {
        0 | 1 => None,
        2 => Some(String::new()),
        _ => Some(address),
    }
}

/// A text as it is written in a web address.
pub(super) fn slug(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").chars().take(50).collect()
}
