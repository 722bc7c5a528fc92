//! Every JSON object with a usable key becomes a row. Values that PostgreSQL can't store are sanitized
//! or null, and listed.

use std::collections::BTreeMap;

use anyhow::Result;
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Sent, World};
use serde_json::{Value, json};

/// Text that doesn't compress, so that compression can't make it fit into an index.
fn noise(length: usize) -> String {
    let mut state = 7_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap_or(0))
    };
    (0..length).map(|_| letter()).filter(|c| !matches!(c, '"' | '\\')).collect()
}

/// Fields of `resource` as JSON text, and which of them are unreadable.
fn odd() -> Vec<(String, Vec<&'static str>)> {
    let (deep, nines) = (format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000)), "9".repeat(140_000));
    let names: Vec<String> = (0..669).map(|place| format!("column {place}")).collect();
    let columns = json!(names);
    let text = |field: &str, length| format!(r#""{field}":"{}""#, noise(length));
    vec![
        (r#""name":"a\u0000b""#.to_owned(), vec!["resource.name"]),
        (r#""description":"\ud800 and \udfff""#.to_owned(), vec!["resource.description"]),
        (text("description", 2_000_000), vec![]),
        (format!(r#""columns_name":{columns},"columns_field_name":{columns}"#), vec![]),
        (
            r#""createdAt":"yesterday","updatedAt":"2020-02-30T00:00:00Z""#.to_owned(),
            vec!["resource.createdAt", "resource.updatedAt"],
        ),
        (r#""createdAt":"9999-12-31T23:59:59-01:00""#.to_owned(), vec!["resource.createdAt"]),
        (r#""download_count":9223372036854775808"#.to_owned(), vec!["resource.download_count"]),
        (r#""score":1e200000,"fine":1e-20000"#.to_owned(), vec!["resource.score", "resource.fine"]),
        (format!(r#""score":{nines}"#), vec!["resource.score"]),
        (format!(r#""nest":{deep}"#), vec!["resource.nest"]),
        (text("attribution", 5_000), vec!["resource.attribution"]),
        (text("type", 5_000), vec!["resource.type"]),
        (r#""type":"hologram","smell":{"of":["rain",null]}"#.to_owned(), vec![]),
        (
            r#""name":7,"type":["map"],"page_views":"many""#.to_owned(),
            vec!["resource.name", "resource.type", "resource.page_views"],
        ),
        (r#""\u0000":1"#.to_owned(), vec!["resource"]),
    ]
}

fn object(id: &str, resource: &str) -> String {
    let repeated = r#"[{"key":"k","value":"1"},{"key":"k","value":"2"}]"#;
    format!(
        r#"{{"resource":{{"id":"{id}",{resource}}},"classification":{{"domain_metadata":{repeated}}},"metadata":{{"domain":"a.example"}}}}"#
    )
}

#[tokio::test]
async fn every_object_becomes_a_row_that_lists_its_sanitized_fields() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::from_objects(Synthetic::new(40, 2).objects())?;
    let mut expected = BTreeMap::new();
    for (place, (resource, unreadable)) in odd().into_iter().enumerate() {
        let id = format!("odd{}-zzzz", char::from(b'a' + u8::try_from(place)?));
        catalog.put_as(&id, "a.example", object(&id, &resource));
        expected.insert(id, unreadable);
    }
    let api = MockServer::start(Options::new(catalog)).await?;
    world.crawl(&api)?.succeed().await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["dead"], 0);
    let rows: Vec<(String, Vec<String>, Value)> = sqlx::query_as(
        "select id, unreadable, domain_metadata from socrata_datasets where domain = 'a.example' order by id",
    )
    .fetch_all(world.pool())
    .await?;
    for ((id, unreadable, metadata), (expected_id, expected)) in rows.iter().zip(&expected) {
        assert_eq!((id, unreadable.len()), (expected_id, expected.len()), "{unreadable:?}");
        assert!(
            expected.iter().all(|name| unreadable.iter().any(|reported| reported == name)),
            "{id}: {unreadable:?}"
        );
        assert_eq!(metadata.as_array().map(Vec::len), Some(2));
    }
    assert_eq!(rows.len(), expected.len());
    let widths: (i32, i32) = sqlx::query_as(
        "select max(jsonb_array_length(columns)), max(length(record #>> '{resource,description}'))
         from socrata_datasets where domain = 'a.example'",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(widths.0, 669);
    assert!(widths.1 > 1_900_000, "{widths:?}");
    let agencies: Vec<i32> =
        sqlx::query_scalar("select octet_length(agency) from socrata_agencies where host = 'a.example'")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(agencies, [1000]);
    let state: String = sqlx::query_scalar("select state from runs").fetch_one(world.pool()).await?;
    assert_eq!(state, "balanced");
    Ok(())
}

/// Sends a version of one asset to a partition.
async fn send(world: &World, partition: i32, page: &str) -> Result<()> {
    let headers = [
        ("schema", "1"),
        ("kind", "datasets"),
        ("region", "us"),
        ("run", "2"),
        ("page", page),
        ("observed_at", "2026-01-01T00:00:00Z"),
    ];
    let value = object("twin-zzzz", &format!(r#""name":"of page {page}""#));
    let (key, value) = (Some("us/a.example/twin-zzzz".as_bytes()), Some(value.as_bytes()));
    world.send("datasets", Sent { partition, key, value, headers: &headers }).await?;
    Ok(())
}

#[tokio::test]
async fn the_newest_version_of_a_key_wins_within_a_batch_and_across_partitions() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(40, 2))).await?;
    world.crawl(&api)?.succeed().await?;
    for (partition, page) in [(0, "3"), (0, "9"), (0, "5"), (1, "7"), (1, "8"), (1, "8")] {
        send(&world, partition, page).await?;
    }
    world.consume()?.succeed().await?;
    let row: (String, i64) = sqlx::query_as(
        "select name, last_page from socrata_datasets join socrata_dataset_stats using (region, domain, id)
         where id = 'twin-zzzz'",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(row, ("of page 9".to_owned(), 9));
    let counted: i64 = sqlx::query_scalar(
        "select sum(new + changed + unchanged + older)::bigint from run_partitions where run = 2",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(counted, 6);
    Ok(())
}
