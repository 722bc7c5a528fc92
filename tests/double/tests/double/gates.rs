//! The mock server holds requests for a test, and logs the requests that it received.

use std::sync::Arc;

use discovery_double::mock_server::{Fault, Matcher, MemoryCatalog, MockServer, Options};
use discovery_double::synthetic::Synthetic;

use crate::asking::{get, get_in_background, read};

const PAGE: &str = "?scroll_id=&limit=20";

async fn small() -> Arc<MockServer> {
    Arc::new(MockServer::start(Options::new(Synthetic::new(300, 4))).await.expect("a mock server"))
}

#[tokio::test]
async fn a_gate_holds_requests_until_the_test_lets_them_go() {
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(50, 2).objects()).expect("objects"));
    let options = Options::shared(Arc::clone(&catalog));
    let api = Arc::new(MockServer::start(options).await.expect("a mock server"));
    let mut gate = api.hold(Matcher::pages().scroll_id(""));
    let held = [get_in_background(&api, PAGE), get_in_background(&api, PAGE)];
    assert_eq!(gate.arrived().await.param("limit"), Some("20"));
    gate.arrived().await;
    assert_eq!(get(&api, "/domains").await.status, 200);
    assert!(held.iter().all(|held| !held.is_finished()));
    // The answer is computed when the gate opens.
    let first = catalog.ids()[0].clone();
    catalog.remove(&first);
    gate.pass(1);
    api.wait_until(|log| log.iter().any(|received| received.is_page() && received.ended)).await;
    assert_eq!(
        api.requests().iter().filter(|received| received.is_page() && received.status.is_some()).count(),
        1
    );
    gate.release();
    for held in held {
        assert_eq!(held.await.expect("an answer").ids()[0], catalog.ids()[0]);
    }
    assert_eq!(get(&api, PAGE).await.status, 200);
}

#[tokio::test]
async fn a_gate_that_is_dropped_is_open() {
    let api = small().await;
    let mut gate = api.hold(Matcher::any());
    let held = get_in_background(&api, PAGE);
    gate.arrived().await;
    drop(gate);
    assert_eq!(held.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn the_log_shows_the_requests() {
    let api = small().await;
    let request = crate::asking::CLIENT.get(format!("{}?limit=3&order=name%20ASC", api.url()));
    read(request.header("X-Request-Id", "run-7").send().await.expect("an answer")).await;
    api.fail_once(Matcher::any(), Fault::status(503));
    get(&api, "/domains").await;
    api.wait_until(|log| log.iter().all(|received| received.ended)).await;
    let log = api.requests();
    let reported: Vec<_> = log
        .iter()
        .map(|received| (received.sequence, received.path.as_str(), received.status, received.fault))
        .collect();
    assert_eq!(
        reported,
        [(1, "/api/catalog/v1", Some(200), None), (2, "/api/catalog/v1/domains", Some(503), Some("status")),]
    );
    assert_eq!(log[0].request_id.as_deref(), Some("run-7"));
    assert_eq!((log[0].limit(), log[0].param("order")), (3, Some("name ASC")));
    assert!(log[0].is_page() && log[1].is_domains() && log[0].at < log[1].at);
}

#[tokio::test]
async fn the_log_shows_how_many_were_in_flight() {
    let api = small().await;
    for _ in 0..40 {
        get(&api, PAGE).await;
    }
    // A request leaves the count before its client sees the end of the answer.
    assert!(api.requests().iter().all(|received| received.in_flight == 1));
    let gate = api.hold(Matcher::any());
    let held = [get_in_background(&api, PAGE), get_in_background(&api, PAGE), get_in_background(&api, PAGE)];
    api.wait_for_requests(43).await;
    gate.release();
    for held in held {
        held.await.expect("an answer");
    }
    let in_flight: Vec<_> = api.requests()[40..].iter().map(|received| received.in_flight).collect();
    assert_eq!(in_flight, [1, 2, 3]);
}
