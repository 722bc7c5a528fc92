//! The mock server's answers have the form of recorded answers of the live API.

use std::sync::Arc;

use discovery_double::mock_server::{MemoryCatalog, MockServer, Options};
use discovery_double::synthetic::{Oddity, Synthetic};
use serde_json::Value;

use crate::asking::get;

const ASSETS: u64 = 120;

async fn serve(change: impl FnOnce(Options) -> Options) -> MockServer {
    MockServer::start(change(Options::new(Synthetic::new(ASSETS, 4)))).await.expect("a mock server")
}

/// All objects as seen by a crawl that begins now.
async fn crawl(api: &MockServer) -> Vec<Value> {
    get(api, "/domains").await;
    get(api, "?scroll_id=&limit=1000").await.results()
}

/// The object with sorted lists, where their order has no meaning.
fn in_one_order(object: &Value) -> Value {
    let mut object = object.clone();
    let resource = object["resource"].as_object_mut().expect("a resource");
    let names: Vec<_> = resource.keys().filter(|name| name.starts_with("columns_")).cloned().collect();
    let lists: Vec<_> = names.iter().map(|name| resource[name].as_array().expect("a list").clone()).collect();
    let count = lists.first().map_or(0, Vec::len);
    let mut columns: Vec<Vec<Value>> =
        (0..count).map(|place| lists.iter().map(|list| list[place].clone()).collect()).collect();
    columns.sort_by_key(|column| Value::from(column.clone()).to_string());
    for (number, name) in names.iter().enumerate() {
        resource[name] = columns.iter().map(|column| column[number].clone()).collect();
    }
    for name in ["domain_tags", "domain_metadata"] {
        let list = object["classification"][name].as_array_mut().expect("a list");
        list.sort_by_key(Value::to_string);
    }
    object
}

fn differing<'a>(one: &'a [Value], other: &'a [Value], part: &str) -> usize {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).filter(|(one, other)| one.pointer(part) != other.pointer(part)).count()
}

#[tokio::test]
async fn bodies_are_pretty_printed_as_recorded_ones_are() {
    let object = r#"{"resource":{"id":"aaaa-aaaa","name":"Caf\u00e9, \"{[:,]}\"","none":[],"nothing":{},
        "columns_name":["A long name of a column of this table","Another long name of a column of it"],
        "x":1.50,"y":null,"views":{"a":1,"b":[true,-2e3]}},"metadata":{"domain":"a.example"}}"#;
    let catalog = MemoryCatalog::new();
    catalog.put(object).expect("an object");
    let api = MockServer::start(Options::new(catalog).reorder(false)).await.expect("a mock server");
    let page = r#"{
  "results" :
    [
      {
        "resource" :
          {
            "id" : "aaaa-aaaa",
            "name" : "Caf\u00e9, \"{[:,]}\"",
            "none" : [],
            "nothing" : {},
            "columns_name" :
              [
                "A long name of a column of this table",
                "Another long name of a column of it"
              ],
            "x" : 1.50,
            "y" : null,
            "views" : { "a" : 1, "b" : [ true, -2e3 ] }
          },
        "metadata" : { "domain" : "a.example" }
      }
    ],
  "resultSetSize" : 1,
  "timings" : { "serviceMillis" : 9, "searchMillis" : [ 2, 5 ] }
}
"#;
    assert_eq!(get(&api, "?scroll_id=").await.text, page);
    let line = "\n    [\n      { \"domain\" : \"a.example\", \"count\" : 1 }\n    ],\n";
    assert!(get(&api, "/domains").await.text.contains(line));
    let end = get(&api, "?scroll_id=bbbb-bbbb").await.text;
    assert!(end.starts_with("{\n  \"results\" : [],\n  \"resultSetSize\" : 1,"), "{end}");
}

#[tokio::test]
async fn white_space_is_all_that_differs_from_the_compact_form() {
    let (pretty, compact) = (serve(|options| options).await, serve(|options| options.pretty(false)).await);
    let query = "?scroll_id=&limit=1000";
    let (pretty, compact) = (get(&pretty, query).await, get(&compact, query).await);
    assert_eq!(pretty.json(), compact.json());
    assert!(!compact.text.contains('\n'));
    // Recorded answers have 1.7 times the compact size.
    let ratio = pretty.text.len() as f64 / compact.text.len() as f64;
    assert!((1.4..2.0).contains(&ratio), "{ratio}");
}

#[tokio::test]
async fn deeply_nested_objects_are_served() {
    let deep = format!("{}1{}", r#"{"x":["#.repeat(60_000), "]}".repeat(60_000));
    let catalog = MemoryCatalog::new();
    catalog.put(format!(r#"{{"resource":{{"id":"aaaa-aaaa"}},"deep":{deep}}}"#)).expect("an object");
    let api = MockServer::start(Options::new(catalog)).await.expect("a mock server");
    let text = get(&api, "?scroll_id=").await.text;
    let bare: String = text.split_whitespace().collect();
    assert!(bare.contains(&deep) && text.len() < 3 * deep.len());
}

#[tokio::test]
async fn each_crawl_sees_lists_in_another_order_and_nothing_else_changes() {
    let api = serve(|options| options).await;
    let (one, other) = (crawl(&api).await, crawl(&api).await);
    for part in ["/resource/columns_name", "/classification/domain_tags", "/classification/domain_metadata"] {
        let differ = differing(&one, &other, part);
        assert!(differ > one.len() / 6, "{part}: {differ} of {} differ", one.len());
    }
    let still = |objects: &[Value]| objects.iter().map(in_one_order).collect::<Vec<_>>();
    assert_eq!(still(&one), still(&other));
    let original: Vec<Value> = Synthetic::new(ASSETS, 4)
        .objects()
        .map(|object| serde_json::from_slice(&object).expect("JSON"))
        .collect();
    assert_eq!(still(&one), still(&original));
    // Within a crawl the order is constant, so a page that is requested again is the same page.
    let again = get(&api, "?scroll_id=&limit=1000").await;
    assert_eq!(again.results(), other);
    api.reorder();
    assert_ne!(get(&api, "?scroll_id=&limit=1000").await.results(), other);
}

#[tokio::test]
async fn orders_depend_on_the_seed_and_the_crawl() {
    let (one, same) = (serve(|options| options).await, serve(|options| options).await);
    let other = serve(|options| options.order_seed(1)).await;
    let first = crawl(&one).await;
    assert_eq!(first, crawl(&same).await);
    assert!(differing(&first, &crawl(&other).await, "") > first.len() / 2);
    assert_eq!(crawl(&one).await, crawl(&same).await);
}

#[tokio::test]
async fn lists_keep_their_order_if_reordering_is_off() {
    let api = serve(|options| options.reorder(false)).await;
    let original: Vec<Value> = Synthetic::new(ASSETS, 4)
        .objects()
        .map(|object| serde_json::from_slice(&object).expect("JSON"))
        .collect();
    assert_eq!(crawl(&api).await, original);
    assert_eq!(crawl(&api).await, original);
}

#[tokio::test]
async fn columns_that_do_not_belong_together_keep_their_order() {
    let numbers: Vec<u32> = (0..40).collect();
    let odd = [
        (r#""columns_name":N,"columns_format":[1]"#, false),
        (r#""columns_name":N,"columns_format":7"#, false),
        (r#""columns_name":N,"c\u006flumns_format":N"#, false),
        (r#""columns_name":N,"columns_format":null"#, true),
        (r#""columns_name":N,"columns_new":N"#, true),
    ];
    for (lists, moves) in odd {
        let lists = lists.replace('N', &Value::from(numbers.clone()).to_string());
        let catalog = MemoryCatalog::new();
        catalog.put(format!(r#"{{"resource":{{"id":"aaaa-aaaa",{lists}}}}}"#)).expect("an object");
        let api = MockServer::start(Options::new(catalog)).await.expect("a mock server");
        let names = crawl(&api).await[0]["resource"]["columns_name"].clone();
        assert_eq!(names != Value::from(numbers.clone()), moves, "{lists}");
    }
}

#[tokio::test]
async fn repeated_elements_occur_as_often_as_before() {
    let catalog = Synthetic::new(ASSETS, 4);
    let index = Oddity::RepeatedKey.place(ASSETS);
    let object: Value = serde_json::from_slice(&catalog.object(index)).expect("JSON");
    let api = MockServer::start(Options::new(catalog)).await.expect("a mock server");
    let served = crawl(&api).await.swap_remove(usize::try_from(index).expect("few"));
    assert_eq!(in_one_order(&served), in_one_order(&object));
}

#[tokio::test]
async fn bodies_come_compressed_and_in_chunks_unless_that_is_turned_off() {
    for (compressed, chunked) in [(true, true), (false, true), (true, false), (false, false)] {
        let api = serve(|options| options.gzip(compressed).chunked(chunked)).await;
        let request = crate::asking::CLIENT.get(api.url()).header("accept-encoding", "gzip");
        let response = request.send().await.expect("an answer");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(header("content-encoding"), compressed.then_some("gzip"));
        assert_eq!(header("transfer-encoding"), chunked.then_some("chunked"));
        assert_eq!(header("content-length").is_some(), !chunked);
    }
}

#[tokio::test]
async fn a_changed_catalog_is_served_in_its_current_state() {
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(20, 2).objects()).expect("a catalog"));
    let api = MockServer::start(Options::shared(Arc::clone(&catalog))).await.expect("a mock server");
    assert_eq!(crawl(&api).await.len(), 20);
    let tags = r#"{"resource":{"id":"2222-2222"},"classification":{"domain_tags":["a","b","c"]}}"#;
    catalog.put(tags).expect("an object");
    let served = crawl(&api).await.swap_remove(0);
    let mut tags: Vec<_> = served["classification"]["domain_tags"]
        .as_array()
        .expect("a list")
        .iter()
        .map(Value::to_string)
        .collect();
    tags.sort();
    assert_eq!(tags.concat(), r#""a""b""c""#);
}
