//! An asset is a set of columns and tags. A response in another order or form gives the same row and hash. Another element,
//! or the same element another number of times, gives another hash.

use anyhow::{Context as _, Result, ensure};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::forms::{Draw, draw, rendered};
use super::tables::{Tables, dataset};
use crate::decode::canonical;
use crate::decode::dataset::DatasetRow;
use crate::decode::rows::Rows;
use crate::decode::sanitize::sanitize_json;
use crate::decode::tree::Node;
use crate::store::rows::{self, CopyRows};

/// Lists of `classification` whose order has no meaning.
pub(super) const MULTISETS: [&str; 4] = ["categories", "tags", "domain_tags", "domain_metadata"];
const COLUMNS: [&str; 6] = [
    "columns_name",
    "columns_field_name",
    "columns_datatype",
    "columns_description",
    "columns_format",
    "columns_of_a_future_api",
];

fn word() -> impl Strategy<Value = String> {
    let words =
        ["a", "a b", "A", "b", "é", "e\u{301}", "\"", "\\", "/", "\u{1}", "\u{0}", "😀", "", "10", "9"];
    select(words.to_vec()).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        word().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!(1.5)),
        Just(Value::Null),
        Just(json!(true)),
    ]
}

/// An asset whose columns are parallel, with any of the six arrays.
pub(super) fn asset() -> impl Strategy<Value = Value> {
    let column =
        prop::collection::vec(prop_oneof![word().prop_map(Value::from), Just(json!({"y": 1, "x": "2"}))], 6);
    let columns = (prop::collection::vec(column, 0..6), prop::collection::vec(any::<bool>(), 6));
    let words = || prop::collection::vec(word().prop_map(Value::from), 0..5);
    let pair = (word(), scalar()).prop_map(|(key, value)| json!({ "key": key, "value": value }));
    let lists = (words(), words(), words(), prop::collection::vec(pair, 0..5));
    let others = prop::collection::btree_map("[a-f]{1,3}", scalar(), 0..6);
    (columns, lists, others, prop::option::of(0..5_i64)).prop_map(|((columns, has), lists, others, views)| {
        let mut resource = json!({ "id": "aaaa-bbbb", "name": "A/B", "parent_fxf": ["b", "a"] });
        for (index, name) in COLUMNS.iter().enumerate().filter(|(index, _)| has[*index]) {
            resource[*name] = columns.iter().map(|column| column[index].clone()).collect();
        }
        if let Some(views) = views {
            resource["page_views"] = json!({ "page_views_total": views });
        }
        let (categories, tags, domain_tags, domain_metadata) = lists;
        json!({
            "resource": resource,
            "classification": { "categories": categories, "tags": tags, "domain_tags": domain_tags,
                "domain_metadata": domain_metadata, "domain_category": 7 },
            "metadata": { "domain": "d.example" },
            "owner": others,
        })
    })
}

/// The arrays that are permuted together.
fn columns(asset: &mut Value) -> Vec<&mut Vec<Value>> {
    let fields = asset["resource"].as_object_mut().unwrap().iter_mut();
    fields
        .filter(|(name, _)| name.starts_with("columns_"))
        .map(|(_, array)| array.as_array_mut().unwrap())
        .collect()
}

/// The same asset with its columns and lists in another order.
pub(super) fn reordered(asset: &Value, draw: &mut Draw) -> Value {
    let mut asset = asset.clone();
    let length = columns(&mut asset).first().map_or(0, |array| array.len());
    let order = draw.permutation(length);
    for array in columns(&mut asset) {
        *array = order.iter().map(|index| array[*index].clone()).collect();
    }
    for list in MULTISETS {
        let list = asset["classification"][list].as_array_mut().unwrap();
        let order = draw.permutation(list.len());
        *list = order.iter().map(|index| list[*index].clone()).collect();
    }
    asset
}

fn read(text: &str) -> DatasetRow {
    DatasetRow::read(text, "d.example", "aaaa-bbbb").unwrap()
}

proptest! {
    #[test]
    fn another_order_or_form_gives_the_same_row(asset in asset(), mut draw in draw()) {
        let other = rendered(&reordered(&asset, &mut draw), &mut draw);
        prop_assert_eq!(read(&asset.to_string()), read(&other), "{}", other);
    }

    #[test]
    fn another_element_of_a_list_gives_another_hash(
        asset in asset(), list in select(MULTISETS.to_vec()), index in any::<Index>(), mut draw in draw(),
    ) {
        for change in ["change", "add", "remove", "double"] {
            let mut other = asset.clone();
            let elements = other["classification"][list].as_array_mut().unwrap();
            if elements.is_empty() && change != "add" {
                continue;
            }
            changed(elements, change, index);
            let other = rendered(&reordered(&other, &mut draw), &mut draw);
            prop_assert_ne!(read(&asset.to_string()).content_hash, read(&other).content_hash, "{}", change);
        }
    }

    #[test]
    fn another_column_gives_another_hash(
        asset in asset(), array in any::<Index>(), index in any::<Index>(), mut draw in draw(),
    ) {
        for change in ["change", "add", "remove", "double"] {
            let mut other = asset.clone();
            let mut arrays = columns(&mut other);
            if arrays.is_empty() || (arrays[0].is_empty() && change != "add") {
                continue;
            }
            if change == "change" {
                let cells = array.index(arrays.len());
                changed(arrays[cells], change, index);
            } else {
                arrays.into_iter().for_each(|elements| changed(elements, change, index));
            }
            let other = rendered(&reordered(&other, &mut draw), &mut draw);
            prop_assert_ne!(read(&asset.to_string()).content_hash, read(&other).content_hash, "{}", change);
        }
    }

    #[test]
    fn another_value_anywhere_else_gives_another_hash(asset in asset(), mut draw in draw()) {
        for (parent, name) in [("owner", "new"), ("resource", "name"), ("resource", "parent_fxf"), ("classification", "new")] {
            let mut other = asset.clone();
            other[parent][name] = json!(["a", "b"]);
            let other = rendered(&reordered(&other, &mut draw), &mut draw);
            prop_assert_ne!(read(&asset.to_string()).content_hash, read(&other).content_hash, "{}.{}", parent, name);
        }
    }
}

/// Changes one element, or the number of elements.
fn changed(elements: &mut Vec<Value>, change: &str, index: Index) {
    let new = json!("no word");
    match change {
        "add" => elements.push(new),
        "change" => *index.get_mut(elements) = new,
        "remove" => drop(elements.remove(index.index(elements.len()))),
        _ => elements.push(index.get(elements).clone()),
    }
}

/// Checks a property of two sets of tables in a few cases.
pub(super) fn holds_in_tables<T: std::fmt::Debug>(
    name: &str,
    strategy: &impl Strategy<Value = T>,
    property: &impl AsyncFn(&Tables, &Tables, T) -> Result<()>,
) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let make = async { anyhow::Ok((Tables::make(name).await?, Tables::make(name).await?)) };
    let (one, other) = runtime.block_on(make).unwrap();
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(strategy, |case| {
        let check = async {
            one.wipe().await?;
            other.wipe().await?;
            property(&one, &other, case).await
        };
        runtime.block_on(check).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    let drop = async {
        one.drop().await?;
        other.drop().await
    };
    runtime.block_on(drop).unwrap();
    checked.unwrap_or_else(|error| panic!("{error}"));
}

async fn store(tables: &Tables, text: &str) -> Result<()> {
    let mut tx = tables.pool.begin().await?;
    rows::write(&mut tx, Rows::Datasets(vec![dataset(text, (1, 1))]), CopyRows::Never).await?;
    Ok(tx.commit().await?)
}

#[test]
fn another_order_or_form_is_stored_as_the_same_row() {
    holds_in_tables("forms", &(asset(), draw()), &async |one, other, (asset, mut draw)| {
        let text = rendered(&reordered(&asset, &mut draw), &mut draw);
        store(one, &asset.to_string()).await?;
        store(other, &text).await?;
        let (one, other) = (one.contents().await?, other.contents().await?);
        ensure!(one.len() == 2 && one == other, "{text} is stored as {other:#?}, not as {one:#?}");
        Ok(())
    });
}

/// Objects with repeated names in any spelling, some of which must be sanitized.
fn repeated() -> impl Strategy<Value = String> {
    let name = select(vec!["a", "\\u0061", "b", "a\\u0000", "a\\ufffd", "a\\ud800", "é", "\\u00e9", ""]);
    let value = prop_oneof![Just("1".to_owned()), Just("null".to_owned()), Just("\"\\u0000\"".to_owned())];
    value.prop_recursive(3, 20, 6, move |inner| {
        prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", members.join(", "))
        })
    })
}

#[test]
fn jsonb_agrees_on_repeated_names() {
    holds_in_tables("repeated", &repeated(), &async |tables, _, text| {
        let sanitized = sanitize_json(&text, 0);
        let mut canonical = String::new();
        canonical::write(&mut canonical, &Node::of_json(&sanitized).context("it is JSON")?);
        let same: bool = sqlx::query_scalar("select $1::text::jsonb = $2::text::jsonb")
            .bind(sanitized.as_ref())
            .bind(&canonical)
            .fetch_one(&tables.pool)
            .await?;
        ensure!(same, "{sanitized} became {canonical}");
        Ok(())
    });
}
