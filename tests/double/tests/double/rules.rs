//! The mock server follows the rules of the Discovery API.

use discovery_double::mock_server::{Catalog, MemoryCatalog, MockServer, Options, Region};
use discovery_double::synthetic::Synthetic;

use crate::asking::{get, read};

async fn small() -> MockServer {
    MockServer::start(Options::new(Synthetic::new(500, 6))).await.expect("a mock server")
}

#[tokio::test]
async fn a_page_has_100_results_by_default() {
    let api = small().await;
    assert_eq!(get(&api, "").await.ids().len(), 100);
    assert_eq!(get(&api, "?limit=7").await.ids().len(), 7);
    assert_eq!(get(&api, "?limit=0").await.ids().len(), 0);
    // More than 10,000 is reduced to that and not refused.
    assert_eq!(get(&api, "?limit=20000").await.ids().len(), 500);
}

#[tokio::test]
async fn offsets_beyond_the_first_ten_thousand_are_refused() {
    let api = small().await;
    let refused = get(&api, "?offset=9901").await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.error(), "Sum of `offset` and `limit` cannot exceed 10000");
    assert_eq!(get(&api, "?offset=9900").await.status, 200);
}

#[tokio::test]
async fn a_scroll_shows_each_asset_once_in_id_order_and_ends_with_an_empty_page() {
    let catalog = Synthetic::new(500, 6);
    let api = small().await;
    let (mut seen, mut last) = (Vec::new(), String::new());
    loop {
        let page = get(&api, &format!("?scroll_id={last}&limit=130")).await.ids();
        let Some(end) = page.last() else { break };
        last.clone_from(end);
        seen.extend(page);
    }
    let all: Vec<_> = (0..500).map(|index| catalog.id(index)).collect();
    assert_eq!(seen, all);
    assert!(seen.is_sorted());
    // 130, 130, 130, 110 and an empty page: a short page is not the end.
    assert_eq!(api.requests().len(), 5);
}

#[tokio::test]
async fn a_scroll_continues_after_any_id_even_if_it_does_not_exist() {
    let api = small().await;
    let all = get(&api, "?scroll_id=&limit=500").await.ids();
    let after = |bound: &str| all.iter().find(|id| id.as_str() > bound).cloned();
    for bound in ["2222-2222", "mmmm-mmmm", "m", all[200].as_str()] {
        let page = get(&api, &format!("?limit=1&scroll_id={bound}")).await.ids();
        assert_eq!(page.first(), after(bound).as_ref(), "beyond {bound}");
    }
    assert!(get(&api, "?scroll_id=zzzz-zzzz").await.ids().is_empty());
}

#[tokio::test]
async fn a_scroll_takes_neither_an_order_nor_an_offset() {
    let api = small().await;
    for (query, word) in [("order=name", "order"), ("order=relevance", "order"), ("offset=1", "offset")] {
        let refused = get(&api, &format!("?scroll_id=&{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(
            refused.error(),
            format!("The `{word}` and `scroll_id` parameters cannot both be specified")
        );
    }
    assert_eq!(get(&api, "?scroll_id=&offset=0").await.status, 200);
}

#[tokio::test]
async fn without_a_scroll_results_come_in_no_order_of_ids() {
    let api = small().await;
    let first = get(&api, "?limit=500").await.ids();
    assert!(!first.is_sorted());
    assert_eq!(get(&api, "?limit=500").await.ids(), first);
    let second_page = get(&api, "?limit=50&offset=50").await.ids();
    assert_eq!(second_page, first[50..100]);
}

#[tokio::test]
async fn results_are_sorted_by_the_requested_order() {
    let api = small().await;
    for (order, field, descending) in [
        ("name", "name", false),
        ("name%20DESC", "name", true),
        ("dataset_id", "id", false),
        ("createdAt", "createdAt", true),
        ("createdAt+ASC", "createdAt", false),
        ("updatedAt", "updatedAt", true),
        ("updatedAt%20ASC", "updatedAt", false),
    ] {
        let mut values = get(&api, &format!("?limit=500&order={order}")).await.field(field);
        assert_eq!(values.len(), 500);
        if descending {
            values.reverse();
        }
        assert!(values.is_sorted(), "{order}");
    }
}

#[tokio::test]
async fn page_views_sort_the_most_viewed_first() {
    let api = small().await;
    let views = async |order: &str| {
        let results = get(&api, &format!("?limit=20&order={order}")).await.results();
        let views =
            |result: &serde_json::Value| result["resource"]["page_views"]["page_views_total"].as_u64();
        results.iter().map(|result| views(result).unwrap_or(0)).collect::<Vec<_>>()
    };
    assert!(views("page_views_total").await.is_sorted_by(|a, b| a >= b));
    assert!(views("page_views_total%20ASC").await.is_sorted());
}

#[tokio::test]
async fn domains_types_and_ids_filter_results() {
    let api = small().await;
    let all = get(&api, "?limit=500&scroll_id=").await.results();
    let host = "data.northport.example";
    let charts = all
        .iter()
        .filter(|asset| asset["metadata"]["domain"] == host && asset["resource"]["type"] == "chart");
    let charts: Vec<_> =
        charts.map(|asset| asset["resource"]["id"].as_str().expect("an id").to_owned()).collect();
    assert!(charts.len() > 10);
    for only in ["chart", "charts"] {
        let page =
            get(&api, &format!("?limit=500&scroll_id=&domains=Data.NorthPort.example&only={only}")).await;
        assert_eq!(page.ids(), charts);
        assert_eq!(page.size(), charts.len() as u64);
    }
    let some = [&charts[0], &charts[3], "2222-2222"].map(|id| id.to_owned()).join(",");
    let page = get(&api, &format!("?ids={some}&scroll_id=")).await;
    assert_eq!(page.ids(), [charts[0].clone(), charts[3].clone()]);
    let (maps, hrefs) = (get(&api, "?only=maps").await.size(), get(&api, "?only=hrefs").await.size());
    assert_eq!(get(&api, "?only=map,href").await.size(), maps + hrefs);
    assert_eq!(get(&api, "?only=potatoes").await.status, 400);
}

#[tokio::test]
async fn one_unknown_domain_refuses_the_whole_request() {
    let api = small().await;
    for path in ["", "/domains"] {
        let refused = get(&api, &format!("{path}?domains=data.northport.example,no.such.example")).await;
        assert_eq!(refused.status, 404);
        assert_eq!(refused.text, r#"{"error":"Domain not found: no.such.example"}"#);
    }
    // A domain without assets is also known.
    assert_eq!(get(&api, "?domains=staging.eastmere.example").await.size(), 0);
}

#[tokio::test]
async fn an_unknown_name_looks_like_an_empty_catalog() {
    let api = small().await;
    let page = get(&api, "?scroll_id=&limitt=5").await;
    assert_eq!((page.status, page.ids().len(), page.size()), (200, 0, 0));
    // The API ignores a filter without a value.
    assert_eq!(get(&api, "?scrollid=").await.size(), 500);
    // A parameter that only the API supports must not look like an answer of the API.
    for known in ["q=parks", "show_visibility=true"] {
        assert_eq!(get(&api, &format!("?{known}")).await.status, 501, "{known}");
    }
}

#[tokio::test]
async fn requests_that_the_api_fails_to_check_are_a_500() {
    let api = small().await;
    for query in ["limit=-1", "limit=ten", "limit=", "offset=-1", "order=sideways", "order=name+UP"] {
        let refused = get(&api, &format!("?{query}")).await;
        assert_eq!(refused.status, 500, "{query}");
        assert_eq!(refused.text, r#"{"error":"We're sorry. Something went wrong."}"#);
    }
}

#[tokio::test]
async fn the_size_saturates_and_does_not_shrink_along_a_scroll() {
    let catalog = Synthetic::new(10_050, 3);
    let late = catalog.id(10_040);
    let api = MockServer::start(Options::new(catalog)).await.expect("a mock server");
    assert_eq!(get(&api, "?limit=1").await.size(), 10_000);
    let page = get(&api, &format!("?scroll_id={late}")).await;
    assert_eq!((page.ids().len(), page.size()), (9, 10_000));
    let filtered = get(&api, "?limit=1&domains=data.northport.example").await;
    let listed = get(&api, "/domains?domains=data.northport.example").await.results()[0]["count"].as_u64();
    assert_eq!(Some(filtered.size()), listed);
}

#[tokio::test]
async fn domains_are_counted_exactly_and_all_at_once() {
    let catalog = Synthetic::new(3_000, 40);
    let mut expected = catalog.domains();
    let api = MockServer::start(Options::new(catalog)).await.expect("a mock server");
    let answer = get(&api, "/domains?limit=1").await;
    let mut lines: Vec<_> = answer.results();
    assert_eq!(answer.size(), lines.len() as u64);
    lines.sort_by_key(|line| line["domain"].as_str().map(str::to_owned));
    expected.sort_by(|a, b| a.domain.cmp(&b.domain));
    assert_eq!(lines.len(), 44);
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!((&line["domain"], &line["count"]), (&expected.domain.into(), &expected.count.into()));
    }
    let counts: Vec<_> = lines.iter().filter_map(|line| line["count"].as_u64()).collect();
    assert_eq!(counts.iter().sum::<u64>(), 3_000);
    assert_eq!(counts.iter().filter(|count| **count == 0).count(), 4);
}

#[tokio::test]
async fn answers_carry_the_headers_and_timings_of_the_region() {
    for (region, name) in [(Region::Us, "aws-us-east-1-fedramp-prod"), (Region::Eu, "aws-eu-west-1-prod")] {
        let options = Options::new(Synthetic::in_region(region, 10, 1)).region(region);
        let api = MockServer::start(options).await.expect("a mock server");
        for rest in ["", "/domains", "?limit=-1"] {
            let answer = get(&api, rest).await;
            assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"));
            assert_eq!(answer.header("x-socrata-region"), Some(name));
            assert_eq!(answer.header("x-socrata-requestid").map(str::len), Some(32));
        }
        assert!(get(&api, "").await.json()["timings"]["serviceMillis"].is_u64());
    }
}

#[tokio::test]
async fn a_token_is_checked_only_if_there_is_one() {
    let options = Options::new(Synthetic::new(10, 1)).tokens(["good"]);
    let api = MockServer::start(options).await.expect("a mock server");
    for (token, status) in [(Some("good"), 200), (Some("bad"), 403), (None, 200)] {
        let request = crate::asking::CLIENT.get(api.url());
        let request = token.into_iter().fold(request, |request, token| request.header("X-App-Token", token));
        let answer = read(request.send().await.expect("an answer")).await;
        assert_eq!(answer.status, status, "{token:?}");
        // The edge checks tokens.
        let code = (status == 403).then_some("permission_denied");
        assert_eq!(answer.json()["code"].as_str(), code, "{}", answer.text);
    }
}

#[tokio::test]
async fn documents_that_cannot_be_parsed_are_left_out_and_counted() {
    let api = small().await;
    let all = get(&api, "?scroll_id=&limit=30").await.ids();
    api.drop_from_results(all[1..20].to_vec());
    let short = get(&api, "?scroll_id=&limit=10").await;
    assert_eq!((short.ids(), short.size()), (vec![all[0].clone()], 500));
    // The ten after the first are all unreadable, so an empty page is not the end.
    let empty = get(&api, &format!("?scroll_id={}&limit=10", all[0])).await;
    assert_eq!((empty.ids().len(), empty.size()), (0, 500));
    let whole = get(&api, &format!("?scroll_id={}&limit=20", all[0])).await;
    assert_eq!(whole.ids(), [all[20].clone()]);
}

#[tokio::test]
async fn answers_are_compressed_when_both_sides_want_it() {
    let plain = Options::new(Synthetic::new(50, 2)).gzip(false);
    let plain = MockServer::start(plain).await.expect("a mock server");
    let packed = MockServer::start(Options::new(Synthetic::new(50, 2))).await.expect("a mock server");
    let ask = async |api: &MockServer, accepted: &str| {
        let request = crate::asking::CLIENT.get(api.url());
        let response = request.header("accept-encoding", accepted).send().await.expect("an answer");
        let encoding = response.headers().get("content-encoding").cloned();
        (encoding, response.bytes().await.expect("a body").len())
    };
    let (encoding, length) = ask(&packed, "br, gzip;q=0.8").await;
    assert_eq!(encoding.expect("a coding"), "gzip");
    let (none, plain_length) = ask(&plain, "gzip").await;
    assert!(none.is_none() && length < plain_length / 2, "{length} of {plain_length}");
    assert_eq!(ask(&packed, "gzip;q=0").await, (None, plain_length));
    assert_eq!(get(&packed, "").await.text, get(&plain, "").await.text);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let api = MockServer::start(Options::new(MemoryCatalog::new())).await.expect("a mock server");
    assert_eq!(get(&api, "/datasets").await.status, 404);
    let posted = crate::asking::CLIENT.post(api.url()).send().await.expect("an answer");
    assert_eq!(posted.status(), 405);
}
