//! The mock server serves any objects, from memory and from files, on request byte for byte.

use std::io::Write;
use std::sync::Arc;

use discovery_double::mock_server::{Catalog, MemoryCatalog, MockServer, Options};
use discovery_double::synthetic::Synthetic;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::asking::get;

const ODD: &str = r#"{ "resource":{"id":"aaaa-aaaa", "name":"Caf\u00e9 \/ 1.0e0","type":"map"},"metadata":{"domain":"A.example"},
  "x": 1.50}"#;

fn object(id: &str, domain: &str) -> String {
    format!(r#"{{"resource":{{"id":"{id}"}},"metadata":{{"domain":"{domain}"}}}}"#)
}

async fn serve(catalog: MemoryCatalog) -> (Arc<MemoryCatalog>, MockServer) {
    let catalog = Arc::new(catalog);
    let api = MockServer::start(Options::shared(Arc::clone(&catalog))).await.expect("a mock server");
    (catalog, api)
}

#[tokio::test]
async fn objects_are_served_byte_for_byte() {
    let catalog = Arc::new(MemoryCatalog::new());
    let options = Options::shared(Arc::clone(&catalog)).verbatim();
    let api = MockServer::start(options).await.expect("a mock server");
    catalog.put(ODD).expect("an object");
    assert!(get(&api, "?scroll_id=").await.text.contains(ODD));
    assert_eq!(get(&api, "?domains=a.example&only=maps").await.ids(), ["aaaa-aaaa"]);
}

#[tokio::test]
async fn a_catalog_may_change_between_two_requests() {
    let (catalog, api) = serve(MemoryCatalog::new()).await;
    catalog.put(object("cccc-cccc", "a.example")).expect("an object");
    catalog.put(object("bbbb-bbbb", "a.example")).expect("an object");
    assert_eq!(get(&api, "?scroll_id=").await.ids(), ["bbbb-bbbb", "cccc-cccc"]);
    assert!(catalog.remove("bbbb-bbbb"));
    assert!(!catalog.remove("bbbb-bbbb"));
    catalog.put(object("cccc-cccc", "b.example")).expect("an object");
    assert_eq!(get(&api, "?scroll_id=").await.ids(), ["cccc-cccc"]);
    assert_eq!(get(&api, "/domains").await.results().len(), 1);
    assert_eq!(catalog.ids(), ["cccc-cccc"]);
    assert_eq!(catalog.get("cccc-cccc").expect("the object"), object("cccc-cccc", "b.example"));
}

#[tokio::test]
async fn a_test_can_set_the_declared_count_of_a_domain() {
    let (catalog, api) = serve(MemoryCatalog::new()).await;
    catalog.put(object("cccc-cccc", "a.example")).expect("an object");
    catalog.declare("a.example", 7);
    catalog.declare("Empty.example", 0);
    let mut lines = get(&api, "/domains").await.results();
    lines.sort_by_key(|line| line["count"].as_u64());
    assert_eq!(
        lines,
        [
            serde_json::json!({"domain": "empty.example", "count": 0}),
            serde_json::json!({"domain": "a.example", "count": 7}),
        ]
    );
    assert_eq!(get(&api, "?domains=empty.example").await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_not_a_result_object_are_served_at_the_given_id() {
    let (catalog, api) = serve(MemoryCatalog::new()).await;
    assert!(catalog.put("[]").is_err());
    assert!(catalog.put(r#"{"resource":{"id":5}}"#).is_err());
    catalog.put(object("bbbb-bbbb", "a.example")).expect("an object");
    catalog.put(object("dddd-dddd", "a.example")).expect("an object");
    let nameless = r#"{"resource" :{"id":5}}"#;
    catalog.put_as("cccc-cccc", "a.example", nameless);
    let page = get(&api, "?scroll_id=&domains=a.example").await;
    assert_eq!(page.results()[1]["resource"]["id"], 5);
    assert_eq!(page.results().len(), 3);
    // They stay byte for byte in an otherwise pretty-printed page.
    assert!(page.text.contains(nameless), "{}", page.text);
}

#[tokio::test]
async fn one_id_on_two_domains_occurs_twice_and_a_bound_never_separates_them() {
    let (catalog, api) = serve(MemoryCatalog::new()).await;
    for (id, domain) in [("aaaa-aaaa", "a"), ("aaaa-aaab", "b"), ("aaaa-aaab", "a"), ("aaaa-aaac", "a")] {
        catalog.put_beside(object(id, &format!("{domain}.example"))).expect("an object");
    }
    let all = ["aaaa-aaaa", "aaaa-aaab", "aaaa-aaab", "aaaa-aaac"];
    let page = get(&api, "?scroll_id=").await;
    assert_eq!((page.ids(), page.size()), (all.map(str::to_owned).to_vec(), 4));
    let domains: Vec<_> = page.results().iter().map(|result| result["metadata"]["domain"].clone()).collect();
    assert_eq!(domains, ["a.example", "a.example", "b.example", "a.example"]);
    assert_eq!(get(&api, "?scroll_id=&limit=2").await.ids(), all[..2]);
    assert_eq!(get(&api, "?scroll_id=aaaa-aaab&limit=2").await.ids(), all[3..]);
    assert_eq!(get(&api, "?scroll_id=aaaa-aaaa&limit=2").await.ids(), all[1..3]);
    assert_eq!(get(&api, "?scroll_id=&ids=aaaa-aaab").await.ids(), all[1..3]);
    assert_eq!(get(&api, "?order=dataset_id").await.ids(), all);
    assert_eq!(get(&api, "?scroll_id=&domains=b.example").await.ids(), all[1..2]);
    assert!(catalog.remove("aaaa-aaab"));
    assert_eq!(catalog.ids(), ["aaaa-aaaa", "aaaa-aaac"]);
}

#[tokio::test]
async fn supplementary_domains_are_served_only_by_name_and_locked_down_ones_never() {
    let (catalog, api) = serve(MemoryCatalog::new()).await;
    for (id, domain) in [("aaaa-aaaa", "city"), ("bbbb-bbbb", "sandbox"), ("cccc-cccc", "locked")] {
        catalog.put(object(id, &format!("{domain}.example"))).expect("an object");
    }
    catalog.make_supplementary("Sandbox.example");
    catalog.lock_down("locked.example");
    let seen = async |filter: &str| {
        let page = get(&api, &format!("?scroll_id={filter}")).await;
        assert_eq!((page.status, page.size()), (200, page.ids().len() as u64), "{filter}");
        let listed = get(&api, &format!("/domains?limit=10{filter}")).await.results();
        let mut listed: Vec<_> =
            listed.iter().map(|line| line["domain"].as_str().expect("a host").to_owned()).collect();
        listed.sort();
        (page.ids().concat(), listed.join(" "))
    };
    let own = |ids: &str, domains: &str| (ids.to_owned(), domains.to_owned());
    assert_eq!(seen("").await, own("aaaa-aaaa", "city.example"));
    assert_eq!(
        seen("&domains=city.example,sandbox.example").await,
        own("aaaa-aaaabbbb-bbbb", "city.example sandbox.example")
    );
    assert_eq!(seen("&domains=locked.example").await, own("", ""));
    assert_eq!(get(&api, "?limit=5").await.ids(), ["aaaa-aaaa"]);
    assert!(get(&api, "?ids=bbbb-bbbb,cccc-cccc").await.ids().is_empty());
    catalog.make_customer("sandbox.example");
    assert_eq!(seen("").await, own("aaaa-aaaabbbb-bbbb", "city.example sandbox.example"));
}

#[tokio::test]
async fn a_declared_count_is_also_reported_if_the_domain_is_named() {
    let (catalog, api) = serve(MemoryCatalog::new()).await;
    catalog.put(object("cccc-cccc", "a.example")).expect("an object");
    catalog.declare("a.example", 7);
    let lines = get(&api, "/domains?domains=a.example").await.results();
    assert_eq!(lines, [serde_json::json!({"domain": "a.example", "count": 7})]);
}

#[tokio::test]
async fn a_file_is_served_plain_and_compressed() {
    let synthetic = Synthetic::new(60, 3);
    let mut lines: Vec<_> =
        synthetic.objects().map(|object| String::from_utf8(object.to_vec()).expect("text")).collect();
    lines.reverse();
    let text = lines.join("\r\n") + "\n\n";
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("compressed");
    let folder = tempfile::tempdir().expect("a folder");
    let from_synthetic = MockServer::start(Options::new(synthetic)).await.expect("a mock server");
    for (name, bytes) in
        [("plain.ndjson", text.into_bytes()), ("packed.gz", encoder.finish().expect("packed"))]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let catalog = MemoryCatalog::from_ndjson(&path).expect("a catalog");
        assert_eq!(catalog.assets(), 60);
        let (_, api) = serve(catalog).await;
        for query in ["?scroll_id=", "?order=name", "?order=updatedAt", "?only=datasets&scroll_id="] {
            assert_eq!(get(&api, query).await.text, get(&from_synthetic, query).await.text, "{query}");
        }
    }
}

#[test]
fn a_file_that_is_not_a_catalog_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("odd.ndjson");
    std::fs::write(&path, "{\"resource\":{}}\nnonsense\n").expect("written");
    let error = MemoryCatalog::from_ndjson(&path).expect_err("no catalog");
    assert!(error.to_string().contains("odd.ndjson"), "{error}");
}
