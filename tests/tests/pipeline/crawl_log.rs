//! The log and the summary of a crawl: progress, retries by cause, and the id of the request that
//! failed.

use std::collections::BTreeSet;

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::json;

#[tokio::test]
async fn the_summary_shows_retries_by_cause_and_the_waits() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    let faults =
        [Fault::too_many_requests(None), Fault::status(500), Fault::status(503), Fault::Html, Fault::Reset];
    for (fault, n) in faults.into_iter().zip(1..) {
        api.fail_once(Matcher::any().first_attempt().nth(n), fault);
    }
    let ended = world.crawl(&api)?.args(["--rate", "50"]).succeed().await?.summary()?;
    let causes = json!({"throttled": 1, "server_error": 2, "network": 1, "unreadable": 1});
    assert_eq!((&ended["retries_by_cause"], &ended["retries"]), (&causes, &json!(5)));
    assert_eq!(ended["requests"], api.requests().len());
    assert!(
        ended["limiter_seconds"].as_f64() > Some(0.0) && ended["requests_per_second"].as_f64() > Some(0.0)
    );
    Ok(())
}

#[tokio::test]
async fn each_request_has_its_own_id_and_its_log_lines_contain_it() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    api.fail_times(3, Matcher::pages(), Fault::status(500));
    let ended = world.crawl(&api)?.env("RUST_LOG", "debug").succeed().await?;
    let sent: Vec<String> = api.requests().into_iter().filter_map(|request| request.request_id).collect();
    assert_eq!(sent.len(), api.requests().len());
    let spans = ended.log_lines().filter_map(|line| line["spans"].as_array().cloned()).flatten();
    let reported: BTreeSet<String> =
        spans.filter_map(|span| Some(span["request_id"].as_str()?.to_owned())).collect();
    // As a set, because each attempt has another id.
    assert_eq!(reported, sent.iter().cloned().collect());
    assert_eq!(reported.len(), sent.len());
    Ok(())
}

#[tokio::test]
async fn progress_is_logged_while_no_page_comes() -> Result<()> {
    let (full, since) = (["--concurrency", "1"], ["--since", "2000-01-01"]);
    // Each page of a full crawl withholds its last id.
    tokio::try_join!(assert_progress_is_logged(&full, 198), assert_progress_is_logged(&since, 200))?;
    Ok(())
}

/// Crawls two pages, and waits for the progress line while the third page is held.
async fn assert_progress_is_logged(flags: &[&str], objects: u64) -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    let gate = api.hold(Matcher::pages().nth(3));
    let mut crawl = world.crawl(&api)?.args(flags.iter().copied()).start()?;
    let line = crawl.logged(events::CRAWL_PROGRESS).await?;
    // `/domains` is a page too.
    assert_eq!((&line["pages"], &line["objects"]), (&json!(3), &json!(objects)), "{flags:?}: {line}");
    gate.release();
    assert_eq!(crawl.ended().await?.summary()?["whole"], true);
    Ok(())
}

#[tokio::test]
async fn an_error_contains_the_id_of_its_request() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    for matcher in [Matcher::domains(), Matcher::pages()] {
        api.fail(matcher, Fault::status(404));
        let ended = world.crawl(&api)?.args(["--concurrency", "1"]).run().await?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let requests = api.requests();
        let id = requests.last().and_then(|request| request.request_id.clone()).unwrap();
        let (error, reported) = (ended.error()?, ended.summary()?);
        assert!(error.contains(&id), "{id}: {error}");
        assert_eq!(reported["error"], error);
        assert_eq!((&reported["whole"], &reported["failed"]), (&json!(false), &json!(true)));
        api.heal();
    }
    Ok(())
}

#[tokio::test]
async fn the_summary_of_a_failed_crawl_counts_its_requests() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    api.fail(Matcher::pages().nth(2), Fault::status(403));
    api.fail_once(Matcher::domains(), Fault::status(500));
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reported = ended.summary()?;
    assert_eq!(
        (&reported["retries_by_cause"], &reported["objects"]),
        (&json!({"server_error": 1}), &json!(99))
    );
    assert_eq!(reported["requests"], api.requests().len());
    Ok(())
}
