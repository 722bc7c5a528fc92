//! The mock server misbehaves on demand.

use std::sync::Arc;

use discovery_double::mock_server::{Fault, Matcher, MockServer, Options};
use discovery_double::synthetic::Synthetic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::asking::{get, get_in_background};

const PAGE: &str = "?scroll_id=&limit=20";

async fn small() -> Arc<MockServer> {
    // Not compressed, so that the bytes of an answer can be counted.
    let options = Options::new(Synthetic::new(300, 4)).gzip(false);
    Arc::new(MockServer::start(options).await.expect("a mock server"))
}

#[tokio::test]
async fn errors_have_the_configured_header_and_body() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::too_many_requests(Some("3")));
    api.fail_once(Matcher::any(), Fault::too_many_requests(None));
    api.fail_once(Matcher::any(), Fault::status(500));
    let body = Some("upstream is away".to_owned());
    api.fail_once(Matcher::any(), Fault::Status { status: 503, retry_after: None, body });
    let reported = async || {
        let answer = get(&api, PAGE).await;
        (answer.status, answer.header("retry-after").map(str::to_owned), answer.text)
    };
    assert_eq!(reported().await, (429, Some("3".to_owned()), String::new()));
    assert_eq!(reported().await, (429, None, String::new()));
    assert_eq!(reported().await, (500, None, r#"{"error":"We're sorry. Something went wrong."}"#.to_owned()));
    assert_eq!(reported().await, (503, None, "upstream is away".to_owned()));
    assert_eq!(reported().await.0, 200);
}

#[tokio::test]
async fn html_comes_with_status_200() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::Html);
    let answer = get(&api, PAGE).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(answer.text.starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn a_gateway_refuses_with_html() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::Gateway { status: 403 });
    let answer = get(&api, PAGE).await;
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/html; charset=utf-8")));
    assert!(answer.text.starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn errors_of_the_edge_have_their_own_form() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::edge(403, "permission_denied", "Not \"allowed\""));
    let answer = get(&api, PAGE).await;
    let reported = r#"{"code": "permission_denied", "error": true, "message": "Not \"allowed\""}"#;
    assert_eq!((answer.status, answer.text.as_str()), (403, reported));
}

#[tokio::test]
async fn json_can_be_truncated_in_a_complete_http_answer() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::CutJson);
    let cut = get(&api, PAGE).await.text;
    let whole = get(&api, PAGE).await.text;
    assert_eq!(cut, whole[..whole.len() / 2]);
}

#[tokio::test]
async fn the_connection_closes_before_the_promised_length() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::CutConnection);
    let mut response =
        crate::asking::CLIENT.get(format!("{}{PAGE}", api.url())).send().await.expect("a head");
    let promised = response.content_length().expect("a length");
    let mut came = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(piece)) => came += piece.len() as u64,
            Ok(None) => panic!("the body ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(came > 0 && came < promised, "{came} of {promised}: {error}");
    assert_eq!(promised, get(&api, PAGE).await.text.len() as u64);
}

#[tokio::test]
async fn a_hanging_request_is_answered_when_the_fault_is_lifted() {
    for fault in [Fault::Hang, Fault::Stall] {
        let api = small().await;
        let hang = api.fail_once(Matcher::pages().nth(1), fault);
        let late = get_in_background(&api, PAGE);
        api.wait_until(|log| log.iter().any(|request| request.fault.is_some())).await;
        // Other requests are not delayed.
        let whole = get(&api, PAGE).await.text;
        assert!(!late.is_finished() && !api.requests()[0].ended);
        hang.lift();
        assert_eq!(late.await.expect("an answer").text, whole);
    }
}

#[tokio::test]
async fn a_stalled_answer_has_sent_half_of_its_body() {
    let api = small().await;
    let whole = get(&api, PAGE).await.text;
    api.fail_once(Matcher::any(), Fault::Stall);
    let mut response =
        crate::asking::CLIENT.get(format!("{}{PAGE}", api.url())).send().await.expect("a head");
    let mut came = 0;
    while came < whole.len().div_ceil(2) {
        came += response.chunk().await.expect("a piece").expect("more").len();
    }
    assert_eq!(came, whole.len().div_ceil(2));
    assert_eq!(api.requests()[1].status, Some(200));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let api = small().await;
    api.fail(Matcher::any(), Fault::Hang);
    let late = get_in_background(&api, PAGE);
    api.wait_for_requests(1).await;
    late.abort();
    api.wait_until(|log| log[0].ended).await;
    assert_eq!(api.requests()[0].status, None);
}

#[tokio::test]
async fn a_reset_leaves_no_byte_of_an_answer() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::Reset);
    let address = api.base().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    stream.write_all(b"GET /api/catalog/v1 HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("asked");
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.expect_err("a reset");
    assert_eq!((error.kind(), bytes.len()), (std::io::ErrorKind::ConnectionReset, 0));
    assert_eq!(get(&api, PAGE).await.status, 200);
    assert_eq!(api.requests()[0].status, None);
}

#[tokio::test]
async fn answers_may_lack_results_or_name_the_other_region() {
    let api = small().await;
    api.fail_once(Matcher::any(), Fault::NoResults);
    api.fail_once(Matcher::any(), Fault::EmptyResults);
    api.fail_once(Matcher::any(), Fault::WrongRegion);
    let none = get(&api, PAGE).await;
    assert!(none.json().get("results").is_none() && none.size() == 300);
    let empty = get(&api, PAGE).await;
    assert_eq!((empty.ids().len(), empty.size()), (0, 300));
    let foreign = get(&api, PAGE).await;
    assert_eq!((foreign.header("x-socrata-region"), foreign.ids().len()), (Some("aws-eu-west-1-prod"), 20));
    api.fail(Matcher::domains(), Fault::EmptyResults);
    assert!(get(&api, "/domains").await.results().is_empty());
}

#[tokio::test]
async fn a_server_may_ignore_the_scroll() {
    let api = small().await;
    let first = get(&api, PAGE).await.ids();
    api.fail_once(Matcher::any(), Fault::FirstPageAgain);
    api.fail_once(Matcher::any(), Fault::IgnoreScroll);
    assert_eq!(get(&api, "?scroll_id=mmmm-mmmm&limit=20").await.ids(), first);
    let relevance = get(&api, "?limit=20&scroll_id=mmmm-mmmm").await.ids();
    assert!(!relevance.is_sorted());
    assert_eq!(relevance, get(&api, "?limit=20").await.ids());
}

#[tokio::test]
async fn faults_hit_the_configured_requests_as_often_as_configured() {
    let api = small().await;
    let nth = api.fail(Matcher::pages().nth(2), Fault::status(501));
    let twice = api.fail_times(2, Matcher::pages().scroll_id("mmmm-mmmm"), Fault::status(502));
    let big = api.fail(Matcher::any().limit_above(20), Fault::status(503));
    let first = api.fail(Matcher::domains().first_attempt(), Fault::status(504));
    let mut statuses = Vec::new();
    for rest in ["/domains", "/domains", PAGE, PAGE, PAGE, "?limit=21"] {
        statuses.push(get(&api, rest).await.status);
    }
    assert_eq!(statuses, [504, 200, 200, 501, 200, 503]);
    for expected in [502, 502, 200] {
        assert_eq!(get(&api, "?scroll_id=mmmm-mmmm&limit=5").await.status, expected);
    }
    assert_eq!([&nth, &twice, &big, &first].map(|fault| fault.fired()), [1, 2, 1, 1]);
    big.lift();
    assert_eq!(get(&api, "?limit=21").await.status, 200);
    api.fail(Matcher::any(), Fault::Html);
    api.heal();
    assert!(get(&api, PAGE).await.json().is_object());
}

#[tokio::test]
async fn a_share_depends_on_the_requests_and_not_on_their_order() {
    let faults = [Fault::status(500), Fault::status(503), Fault::too_many_requests(None)];
    let statuses = async |backwards: bool| {
        let api = small().await;
        api.fail(Matcher::pages().share(0.3, 7), Fault::one_of(7, faults.clone()));
        let mut pages: Vec<u64> = (1..=300).collect();
        if backwards {
            pages.reverse();
        }
        let mut statuses = Vec::new();
        for limit in pages {
            statuses.push(get(&api, &format!("?scroll_id=zzzz&limit={limit}")).await.status);
        }
        if backwards {
            statuses.reverse();
        }
        statuses
    };
    let drawn = statuses(false).await;
    assert_eq!(drawn, statuses(true).await);
    for status in [500, 503, 429] {
        let count = drawn.iter().filter(|drawn| **drawn == status).count();
        assert!((15..=45).contains(&count), "{count} times {status}");
    }
}

#[tokio::test]
async fn each_attempt_of_a_request_is_drawn_separately() {
    let api = small().await;
    api.fail(Matcher::any().share(0.5, 1), Fault::status(500));
    let mut failed = 0;
    for attempt in 1..=60 {
        failed += u64::from(get(&api, PAGE).await.status == 500);
        assert_eq!(api.requests().last().expect("asked").attempt, attempt);
    }
    assert!((15..=45).contains(&failed), "{failed} of 60");
}

#[tokio::test]
async fn a_dropped_mock_server_ends_its_connections() {
    let api = MockServer::start(Options::new(Synthetic::new(10, 1))).await.expect("a mock server");
    api.fail(Matcher::any(), Fault::Hang);
    let mut stream = TcpStream::connect(api.base().replace("http://", "")).await.expect("a connection");
    stream.write_all(b"GET /api/catalog/v1 HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("asked");
    api.wait_for_requests(1).await;
    drop(api);
    let mut bytes = Vec::new();
    assert!(stream.read_to_end(&mut bytes).await.is_err());
}
