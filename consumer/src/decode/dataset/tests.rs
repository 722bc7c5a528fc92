use super::*;

fn read(resource: &str) -> DatasetRow {
    let value = format!(
        r#"{{"resource":{{"id":"aaaa-bbbb"{resource}}},"metadata":{{"domain":"d.example"}},"link":" "}}"#
    );
    DatasetRow::read(&value, "d.example", "aaaa-bbbb").unwrap()
}

#[test]
fn blank_texts_are_null_and_wrong_types_are_listed() {
    let row =
        read(r#","name":7,"description":"","type":"map","createdAt":"yesterday","parent_fxf":["x",null]"#);
    assert_eq!((row.typed.name, row.typed.description, row.typed.link), (None, None, None));
    assert_eq!(row.typed.kind.as_deref(), Some("map"));
    assert_eq!(row.typed.parent_ids.unwrap().elements(), [Some("x".to_owned()), None]);
    assert_eq!(row.unreadable.literal(), r#"{"resource.createdAt","resource.name"}"#);
}

#[test]
fn stats_are_not_in_the_record_or_its_hash() {
    let one = read(r#","download_count":1,"page_views":{"page_views_total":5},"x":[1.0, 2]"#);
    let other = read(r#","download_count":null,"x":[1.0, 2]"#);
    assert_eq!((one.stats.download_count, one.stats.page_views_total), (Some(1), Some(5)));
    let record =
        r#"{"link":" ","metadata":{"domain":"d.example"},"resource":{"id":"aaaa-bbbb","x":[1.0,2]}}"#;
    assert_eq!(one.record, record);
    assert_eq!(one.content_hash, other.content_hash);
    assert_ne!(one.content_hash, read("").content_hash);
}

#[test]
fn values_that_should_be_objects_and_are_not_are_listed() {
    let metadata = r#""metadata":{"domain":"d.example"},"classification":"x""#;
    let value = format!(r#"{{"resource":{{"id":"aaaa-bbbb","page_views":"many"}},{metadata}}}"#);
    let row = DatasetRow::read(&value, "d.example", "aaaa-bbbb").unwrap();
    assert_eq!(row.unreadable.literal(), r#"{"classification","resource.page_views"}"#);
    let odd =
        read(r#","page_views":{"page_views_total":"5","page_views_last_week":1.5}"#).unreadable.literal();
    let views = "resource.page_views.page_views";
    assert_eq!(odd, format!(r#"{{"{views}_last_week","{views}_total"}}"#));
}

#[test]
fn sanitized_fields_are_listed_and_their_hash_differs_from_that_of_the_same_original_text() {
    let sanitized = read(r#","name":"a\u0000b""#);
    assert_eq!(sanitized.typed.name.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(sanitized.unreadable.literal(), r#"{"resource.name"}"#);
    assert_ne!(sanitized.content_hash, read(r#","name":"a\ufffdb""#).content_hash);
}

#[test]
fn values_that_postgres_can_not_store_are_null_and_listed() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let row = read(&format!(r#","x":{deep},"y":[1,1e200000],"createdAt":"9999-12-31T23:59:59-01:00""#));
    assert_eq!(row.unreadable.literal(), r#"{"resource.createdAt","resource.x","resource.y"}"#);
    assert!(row.record.contains(r#""y":[1,null]"#) && row.record.contains("[[null]]"), "{}", row.record);
    let type_of = |name: &str| read(&format!(r#","type":"{name}""#));
    assert_eq!(type_of(&"x".repeat(5000)).typed.kind.map(|kind| kind.len()), Some(1000));
}

#[test]
fn columns_are_zipped() {
    let row =
        read(r#","columns_name":["A","B"],"columns_field_name":["a","b"],"columns_format":[{},{"x":1}]"#);
    let columns =
        r#"[{"name":"A","field_name":"a","format":{}},{"name":"B","field_name":"b","format":{"x":1}}]"#;
    assert_eq!(row.typed.columns.as_deref(), Some(columns));
    let uneven = read(r#","columns_name":["A","B"],"columns_field_name":["a"]"#);
    assert_eq!(
        (uneven.typed.columns, uneven.unreadable.literal()),
        (None, r#"{"resource.columns"}"#.to_owned())
    );
}

#[test]
fn a_value_that_is_not_an_object_or_disagrees_with_its_key_is_refused() {
    let read = |value| DatasetRow::read(value, "d.example", "aaaa-bbbb").map(|_| ());
    assert!(matches!(read("[]"), Err(DatasetError::NoObject(_))));
    assert!(matches!(read("{"), Err(DatasetError::NoObject(_))));
    let disagrees = read(r#"{"resource":{"id":"aaaa-cccc"},"metadata":{"domain":"d.example"}}"#);
    assert!(matches!(disagrees, Err(DatasetError::KeyDisagrees { field: "resource.id", .. })));
}
