//! The double holds what a test wants to look at, and tells what it was asked.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use catalog_tests::double::{Double, Fault, Matcher, MemoryCatalog, Options};
use catalog_tests::synthetic::Synthetic;

#[expect(dead_code, reason = "each test file uses its share")]
mod asking;
use asking::{ask_aside, get, read};

const PAGE: &str = "?scroll_id=&limit=20";

async fn small() -> Arc<Double> {
    Arc::new(Double::start(Options::new(Synthetic::new(300, 4))).await.expect("a double"))
}

#[tokio::test]
async fn a_gate_holds_requests_until_it_is_told_to_let_them_go() {
    let catalog = Arc::new(MemoryCatalog::from_objects(Synthetic::new(50, 2).objects()).expect("objects"));
    let options = Options::shared(Arc::clone(&catalog));
    let double = Arc::new(Double::start(options).await.expect("a double"));
    let mut gate = double.hold(Matcher::pages().scroll_id(""));
    let held = [ask_aside(&double, PAGE), ask_aside(&double, PAGE)];
    assert_eq!(gate.arrived().await.param("limit"), Some("20"));
    gate.arrived().await;
    assert_eq!(get(&double, "/domains").await.status, 200);
    assert!(held.iter().all(|held| !held.is_finished()));
    // The answer is made when the gate opens.
    let first = catalog.ids()[0].clone();
    catalog.remove(&first);
    gate.pass(1);
    double.wait_until(|log| log.iter().any(|asked| asked.is_page() && asked.ended)).await;
    assert_eq!(double.requests().iter().filter(|asked| asked.is_page() && asked.status.is_some()).count(), 1);
    gate.release();
    for held in held {
        assert_eq!(held.await.expect("an answer").ids()[0], catalog.ids()[0]);
    }
    assert_eq!(get(&double, PAGE).await.status, 200);
}

#[tokio::test]
async fn a_gate_that_is_dropped_is_open() {
    let double = small().await;
    let mut gate = double.hold(Matcher::any());
    let held = ask_aside(&double, PAGE);
    gate.arrived().await;
    drop(gate);
    assert_eq!(held.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let double = small().await;
    let request = asking::CLIENT.get(format!("{}?limit=3&order=name%20ASC", double.url()));
    read(request.header("X-Request-Id", "run-7").send().await.expect("an answer")).await;
    double.fail_once(Matcher::any(), Fault::status(503));
    get(&double, "/domains").await;
    double.wait_until(|log| log.iter().all(|asked| asked.ended)).await;
    let log = double.requests();
    let told: Vec<_> =
        log.iter().map(|asked| (asked.sequence, asked.path.as_str(), asked.status, asked.fault)).collect();
    assert_eq!(
        told,
        [(1, "/api/catalog/v1", Some(200), None), (2, "/api/catalog/v1/domains", Some(503), Some("status")),]
    );
    assert_eq!(log[0].request_id.as_deref(), Some("run-7"));
    assert_eq!((log[0].limit(), log[0].param("order")), (3, Some("name ASC")));
    assert!(log[0].is_page() && log[1].is_domains() && log[0].at < log[1].at);
}

#[tokio::test]
async fn the_log_tells_how_many_were_in_flight() {
    let double = small().await;
    for _ in 0..40 {
        get(&double, PAGE).await;
    }
    // Nobody sees the end of an answer before it has left the count.
    assert!(double.requests().iter().all(|asked| asked.in_flight == 1));
    let gate = double.hold(Matcher::any());
    let held = [ask_aside(&double, PAGE), ask_aside(&double, PAGE), ask_aside(&double, PAGE)];
    double.wait_for_requests(43).await;
    gate.release();
    for held in held {
        held.await.expect("an answer");
    }
    let in_flight: Vec<_> = double.requests()[40..].iter().map(|asked| asked.in_flight).collect();
    assert_eq!(in_flight, [1, 2, 3]);
}
