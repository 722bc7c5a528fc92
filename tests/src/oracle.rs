//! The expected contents of a row, computed from the served object without the consumer's code: the
//! object as a `serde_json::Value`, field by field.

use serde_json::{Map, Value, json};

/// The row of `socrata_datasets` and its stats that an object should become, as the query
/// [`ROWS`] reads rows. It is for objects without unreadable fields.
#[must_use]
pub fn expected_row(region: &str, object: &Value) -> Value {
    let object = &ordered(object);
    let resource = &object["resource"];
    let classification = &object["classification"];
    let views = &resource["page_views"];
    json!({
        "region": region,
        "domain": object["metadata"]["domain"],
        "id": resource["id"],
        "name": text(&resource["name"]),
        "type": text(&resource["type"]),
        "description": text(&resource["description"]),
        "attribution": text(&resource["attribution"]),
        "attribution_link": text(&resource["attribution_link"]),
        "category": text(&classification["domain_category"]),
        "categories": classification["categories"],
        "tags": classification["tags"],
        "domain_tags": classification["domain_tags"],
        "domain_metadata": classification["domain_metadata"],
        "license": text(&object["metadata"]["license"]),
        "provenance": text(&resource["provenance"]),
        "permalink": text(&object["permalink"]),
        "link": text(&object["link"]),
        "parent_ids": resource["parent_fxf"],
        "columns": columns(resource),
        "created_at": resource["createdAt"],
        "updated_at": resource["updatedAt"],
        "metadata_updated_at": resource["metadata_updated_at"],
        "data_updated_at": resource["data_updated_at"],
        "publication_date": resource["publication_date"],
        "record": content(object),
        "unreadable": [],
        "retired_at": null,
        "page_views_total": views["page_views_total"],
        "page_views_last_month": views["page_views_last_month"],
        "page_views_last_week": views["page_views_last_week"],
        "download_count": resource["download_count"],
    })
}

/// All rows in the order of keys, in the form of [`expected_row`]. Times are in the form that the API writes.
pub const ROWS: &str = "
    select to_jsonb(d) - 'content_hash' || to_jsonb(s) - '{last_run,last_page,observed_at,content_hash}'::text[]
        || jsonb_build_object(
            'created_at', to_char(created_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
            'updated_at', to_char(updated_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
            'metadata_updated_at',
                to_char(metadata_updated_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
            'data_updated_at',
                to_char(data_updated_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),
            'publication_date',
                to_char(publication_date at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))
    from socrata_datasets as d
    join socrata_dataset_stats as s using (region, domain, id)
    order by region, domain, id";

/// The same object with its columns, tags and metadata in the order of rows.
#[must_use]
pub fn ordered(object: &Value) -> Value {
    let mut object = object.clone();
    for list in ["categories", "tags", "domain_tags", "domain_metadata"] {
        if let Some(list) = object["classification"][list].as_array_mut() {
            list.sort_by_cached_key(Value::to_string);
        }
    }
    order_columns(&mut object["resource"]);
    object
}

/// Orders the parallel arrays by field name, then by the rest of the column.
fn order_columns(resource: &mut Value) {
    let Some(fields) = resource.as_object_mut() else { return };
    let arrays: Vec<(String, Vec<Value>)> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_array()?.clone())))
        .filter(|(name, _)| name.starts_with("columns_"))
        .collect();
    let Some((_, first)) = arrays.first() else { return };
    let mut order: Vec<usize> = (0..first.len()).collect();
    order.sort_by_cached_key(|place| {
        let cell =
            |(name, array): &(String, Vec<Value>)| (name != "columns_field_name", array[*place].to_string());
        let mut cells: Vec<_> = arrays.iter().map(cell).collect();
        // The sort is stable: by field name, then by the other lists in the order of their names.
        cells.sort_by_key(|(is_other, _)| *is_other);
        cells
    });
    for (name, array) in arrays {
        fields.insert(name, order.iter().map(|place| array[*place].clone()).collect());
    }
}

/// An object as in a row's `record`: ordered, and without values that change with each crawl.
#[must_use]
pub fn content(object: &Value) -> Value {
    let mut content = ordered(object);
    if let Some(resource) = content["resource"].as_object_mut() {
        resource.remove("page_views");
        resource.remove("download_count");
    }
    content
}

/// The key of an object: its domain, then its id.
#[must_use]
pub fn key(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["metadata"]["domain"]), text(&object["resource"]["id"]))
}

fn text(value: &Value) -> Value {
    value.as_str().filter(|text| !text.trim().is_empty()).into()
}

fn columns(resource: &Value) -> Value {
    const PREFIX: &str = "columns_";
    let Some(fields) = resource.as_object() else { return Value::Null };
    let arrays: Vec<(&str, &Vec<Value>)> = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_array()?)))
        .collect();
    let Some((_, first)) = arrays.first() else { return Value::Null };
    let column = |place: usize| {
        let fields = arrays.iter().map(|(name, items)| ((*name).to_owned(), items[place].clone()));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    (0..first.len()).map(column).collect()
}
