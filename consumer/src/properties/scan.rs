//! Scanning an asset has the same result as a full decode, and two hashes differ exactly if the rows differ.

use std::collections::{HashMap, HashSet};
use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::content::{MULTISETS, asset, reordered};
use super::forms::{Draw, draw, rendered};
use crate::decode::dataset::{DatasetError, DatasetRow, Typed};
use crate::decode::literal::TextArray;
use crate::decode::scan::Scanned;

const DOMAIN: &str = "d.example";
const ID: &str = "aaaa-bbbb";

/// The objects of an asset, and the names of members that have a special role there, in several spellings.
const MEMBERS: [(&str, &[&str]); 6] = [
    ("top", &["link", "x", "\\u0078", "x\\u0000", "x\\ufffd"]),
    (
        "resource",
        &[
            "id",
            "name",
            "n\\u0061me",
            "type",
            "createdAt",
            "parent_fxf",
            "download_count",
            "x",
            "page_views",
            "columns_name",
            "columns_name",
            "columns_field_name",
            "columns_field_name",
            "columns_x",
            "columns_",
        ],
    ),
    ("classification", &["tags", "domain_tags", "categories", "domain_metadata", "domain_category", "x"]),
    ("metadata", &["domain", "license", "x"]),
    (
        "page_views",
        &["page_views_total", "page_views_last_week", "page_views_last_month", "page_views_total_log"],
    ),
    ("owner", &["a", "b", "\\u0061", "\\ud800"]),
];

/// Values that can be scanned. Some are equal but have different spellings.
const PLAIN: [&str; 17] = [
    "0",
    "1",
    "-1",
    "true",
    "false",
    "null",
    "{}",
    "[]",
    "\"\"",
    "\"1\"",
    "\"a\"",
    "\"\\u0061\"",
    "\"b\"",
    "\"😀\"",
    "\"\\ud83d\\ude00\"",
    "9223372036854775807",
    "\"a\\u0062\"",
];

/// Values that may need a full decode.
const ODD: [&str; 20] = [
    "1.0",
    "1.00",
    "1e0",
    "1E0",
    "0.0",
    "-0",
    "\"a\\u0000\"",
    "\"a\\ufffd\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "9007199254740992.0",
    "9007199254740993.0",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "1e200000",
    "{\"a\":1,\"\\u0061\":2}",
    "\"2020-02-29T00:00:00.000Z\"",
];

/// A member of an object: the object, the member's name, and its value as JSON text.
pub(super) type Member = (&'static str, &'static str, String);

fn value() -> impl Strategy<Value = String> {
    let scalar = || prop_oneof![9 => select(&PLAIN[..]), 1 => select(&ODD[..])].prop_map(str::to_owned);
    let list = prop::collection::vec(scalar(), 0..4).prop_map(|values| format!("[{}]", values.join(",")));
    let object = (scalar(), scalar()).prop_map(|(a, b)| format!("{{\"a\": {a}, \"b\":{b}}}"));
    let deep = (120..132_usize, scalar())
        .prop_map(|(depth, inner)| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth)));
    prop_oneof![20 => scalar(), 20 => list, 5 => object, 1 => deep]
}

fn member() -> impl Strategy<Value = Member> {
    let index = select(&MEMBERS[..]).prop_flat_map(|(object, names)| (Just(object), select(names)));
    (index, value()).prop_map(|((object, name), value)| (object, name, value))
}

pub(super) fn members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::vec(member(), 0..14)
}

/// An asset with these members, in this order.
pub(super) fn text(members: &[Member]) -> String {
    let of = |object: &str, first: &[&str]| {
        let others = members.iter().filter(|(of, ..)| *of == object);
        let others = others.map(|(_, name, value)| format!("\"{name}\": {value}"));
        first.iter().map(|first| (*first).to_owned()).chain(others).collect::<Vec<_>>().join(" ,\n")
    };
    let views = if members.iter().any(|(of, ..)| *of == "page_views") {
        format!("\"page_views\": {{{}}}", of("page_views", &[]))
    } else {
        "\"download_count\":7".to_owned()
    };
    let objects = [
        format!("\"resource\":{{{}}}", of("resource", &["\"id\":\"aaaa-bbbb\"", &views])),
        format!("\"classification\":{{{}}}", of("classification", &[])),
        format!("\"metadata\":{{{}}}", of("metadata", &["\"domain\":\"d.example\""])),
        format!("\"owner\":{{{}}}", of("owner", &[])),
    ];
    format!("{{{}}}", of("top", &objects.each_ref().map(String::as_str)))
}

/// The members with one added, removed, replaced or duplicated, or all in another order.
fn changed(members: &[Member], other: Member, index: Index, draw: &mut Draw) -> Vec<Member> {
    let mut members = members.to_vec();
    let at = if members.is_empty() { 0 } else { index.index(members.len()) };
    match draw.below(6) {
        0 => members.insert(at, other),
        1 if at < members.len() => drop(members.remove(at)),
        2 if at < members.len() => members[at].2 = other.2,
        3 if at < members.len() => members.push(members[at].clone()),
        4 if at < members.len() => members[at].2 = reversed(&members[at].2),
        _ => {
            members =
                draw.permutation(members.len()).into_iter().map(|index| members[index].clone()).collect()
        }
    }
    members
}

/// A flat list with its elements reversed. Other values are unchanged.
fn reversed(value: &str) -> String {
    let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    match inner.filter(|inner| !inner.contains(['[', '{'])) {
        Some(inner) => format!("[{}]", inner.split(',').rev().collect::<Vec<_>>().join(",")),
        None => value.to_owned(),
    }
}

fn decode(text: &str) -> Result<DatasetRow, DatasetError> {
    DatasetRow::read(text, DOMAIN, ID)
}

fn scan(text: &str) -> Result<Scanned, DatasetError> {
    Scanned::read(text, DOMAIN, ID)
}

/// The parts of a row that the hash covers.
fn content(row: DatasetRow) -> (Typed, String, TextArray) {
    (row.typed, row.record, row.unreadable)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_scan_has_the_same_result_as_a_full_decode(members in members()) {
        let text = text(&members);
        let decoded = decode(&text).map(|DatasetRow { stats, content_hash, .. }| Scanned { stats, content_hash });
        if let Some(scanned) = Scanned::in_one_pass(&text, DOMAIN, ID) {
            prop_assert_eq!(&Ok(scanned), &decoded, "{}", text);
            prop_assert_eq!(scanned.decode(&text), decode(&text), "{}", text);
        }
        prop_assert_eq!(scan(&text), decoded, "{}", text);
    }

    #[test]
    fn hashes_are_equal_exactly_if_rows_are(
        members in members(), other in member(), index in any::<Index>(), mut draw in draw(),
    ) {
        let one = text(&members);
        let other = text(&changed(&members, other, index, &mut draw));
        if let (Ok(row), Ok(other_row)) = (decode(&one), decode(&other)) {
            let same_hash = scan(&one).unwrap().content_hash == scan(&other).unwrap().content_hash;
            prop_assert_eq!(content(row) == content(other_row), same_hash, "{}\n{}", one, other);
        }
    }
}

proptest! {
    #[test]
    fn every_leaf_and_every_name_counts(asset in asset(), mut draw in draw()) {
        let before = scan(&asset.to_string()).unwrap().content_hash;
        for path in paths(&asset) {
            let counts = !path.starts_with("/resource/page_views");
            let mut other = asset.clone();
            *other.pointer_mut(&path).unwrap() = if counts { json!("another") } else { Value::Null };
            if let Ok(scanned) = scan(&rendered(&reordered_if_complete(&other, &mut draw), &mut draw)) {
                prop_assert_eq!(scanned.content_hash != before, counts, "{}", path);
            }
        }
    }
}

/// The asset in another order, unless one of its lists was replaced.
fn reordered_if_complete(asset: &Value, draw: &mut Draw) -> Value {
    let lists = |of: &str, names: &[&str]| {
        let whole = |(name, value): (&String, &Value)| {
            value.is_array() || !names.iter().any(|begin| name.starts_with(begin))
        };
        asset[of].as_object().is_some_and(|fields| fields.iter().all(whole))
    };
    let whole = lists("classification", &MULTISETS) && lists("resource", &["columns_"]);
    if whole { reordered(asset, draw) } else { asset.clone() }
}

/// The JSON pointers of all values, at every depth.
fn paths(value: &Value) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    let paths = inner.into_iter().flat_map(|(name, value)| {
        let below = paths(value);
        std::iter::once(String::new()).chain(below).map(move |path| format!("/{name}{path}"))
    });
    paths.collect()
}

#[test]
fn odd_values_have_the_same_hash_as_in_the_full_decode_and_no_two_share_one() {
    let mut seen: HashMap<_, &str> = HashMap::new();
    for value in PLAIN.into_iter().chain(ODD) {
        let text = text(&[("resource", "x", value.to_owned())]);
        let (scanned, row) = (scan(&text).unwrap(), decode(&text).unwrap());
        assert_eq!(scanned.content_hash, row.content_hash, "{value}");
        if let Some(other) = seen.insert((scanned.content_hash.as_bytes().to_vec(), row.record), value) {
            assert!(value.contains("\\u") || other.contains("\\u"), "{value} and {other}");
        }
    }
    let hashes: HashSet<_> = seen.keys().map(|(hash, _)| hash).collect();
    assert_eq!(hashes.len(), seen.len(), "two rows share a hash");
}

/// Real objects, if recordings are available: each form of an object can be scanned, and each object has a different hash.
#[test]
fn real_objects_can_be_scanned() {
    let Some(folder) = env::var_os("CATALOG_RECORDINGS") else { return };
    let file = File::open(Path::new(&folder).join("us-2020.ndjson.gz")).unwrap();
    let mut seen = HashSet::new();
    let mut draw = Draw::from(7);
    for line in BufReader::new(GzDecoder::new(file)).lines().step_by(20) {
        let line = line.unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap();
        let (domain, id) = (text("/metadata/domain"), text("/resource/id"));
        let row = DatasetRow::read(&line, domain, id).unwrap();
        for form in [&line, &rendered(&object, &mut draw), &format!("{object:#}")] {
            let scanned = Scanned::in_one_pass(form, domain, id).unwrap();
            assert_eq!(scanned.decode(form).as_ref(), Ok(&row), "{form}");
        }
        assert!(seen.insert(row.content_hash.as_bytes().to_vec()), "{line}");
    }
    assert!(seen.len() > 1_000);
}
