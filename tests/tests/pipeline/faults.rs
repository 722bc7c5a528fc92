//! If the API misbehaves, a crawl is complete or ends with an error. It is never incomplete and reported as complete.

use std::collections::BTreeSet;

use anyhow::Result;
use catalog_tests::mock_server::{Fault, Injected, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

async fn api() -> Result<MockServer> {
    Ok(MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?)
}

#[tokio::test]
async fn temporary_errors_are_retried() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    let faults = [
        Fault::too_many_requests(None),
        Fault::too_many_requests(Some("1")),
        Fault::status(500),
        Fault::status(503),
        Fault::Html,
        Fault::CutJson,
        Fault::CutConnection,
        Fault::Reset,
        Fault::NoResults,
        Fault::status(408),
        Fault::status(425),
        Fault::Status { status: 403, retry_after: None, body: Some("<html>Access denied".to_owned()) },
    ];
    let injected = faults
        .into_iter()
        .zip(1..)
        .map(|(fault, n)| api.fail_once(Matcher::any().first_attempt().nth(n), fault));
    let injected: Vec<_> = injected.collect();
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert!(injected.iter().all(|fault| fault.fired() == 1));
    assert_eq!(ended["retries"], injected.len());
    assert_eq!(ended["published"]["datasets"], 1_000);
    Ok(())
}

#[tokio::test]
async fn an_empty_answer_is_not_the_end() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    let empty = api.fail_times(
        3,
        Matcher::pages().first_attempt().that(|request| request.sequence % 3 == 0),
        Fault::EmptyResults,
    );
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((empty.fired(), ended["published"]["datasets"].as_u64()), (3, Some(1_000)));
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_scroll_by_id_is_refused() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    api.fail(Matcher::pages(), Fault::IgnoreScroll);
    let ended = world.crawl(&api)?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("doesn't scroll by id"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn permanent_errors_are_not_retried() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    api.fail(Matcher::pages(), Fault::status(403));
    let ended = world.crawl(&api)?.args(["--concurrency", "1"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(api.requests().iter().filter(|request| request.is_page()).count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_short_page_is_not_the_end() -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(1_000, 5);
    // The API omits documents that it can't parse, and still counts them.
    let dropped: Vec<String> = (0..1_000).step_by(4).map(|index| catalog.id(index)).collect();
    let api = MockServer::start(Options::new(catalog)).await?;
    api.drop_from_results(dropped);
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!(ended["published"]["datasets"], 750);
    Ok(())
}

#[tokio::test]
async fn one_invalid_answer_is_retried() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    let odd = [(Fault::WrongRegion, 1), (Fault::FirstPageAgain, 2), (Fault::IgnoreScroll, 3)];
    let odd = odd.map(|(fault, nth)| {
        let after_first_page = Matcher::pages().that(|request| request.param("scroll_id") != Some(""));
        api.fail_once(after_first_page.first_attempt().nth(nth), fault)
    });
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert!(odd.iter().all(|fault| fault.fired() == 1));
    assert_eq!(ended["retries"], odd.len());
    assert_eq!(ended["published"]["datasets"], 1_000);
    Ok(())
}

/// The error of a crawl that always meets the fault after the first page.
async fn refused(fault: Fault, retry_for: &str) -> Result<String> {
    let world = World::new().await?;
    let api = api().await?;
    api.fail(Matcher::pages().that(|request| request.param("scroll_id") != Some("")), fault);
    let ended = world.crawl(&api)?.args(["--retry-for", retry_for]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    Ok(ended.stderr)
}

#[tokio::test]
async fn an_answer_of_another_region_is_never_accepted() -> Result<()> {
    let reported = refused(Fault::WrongRegion, "20s").await?;
    assert!(
        reported.contains("another region answered") && reported.contains("aws-eu-west-1-prod"),
        "{reported}"
    );
    Ok(())
}

#[tokio::test]
async fn a_retry_after_beyond_the_retry_budget_is_reported_with_the_budget() -> Result<()> {
    let reported = refused(Fault::too_many_requests(Some("3600")), "20s").await?;
    for expected in ["answered 429", "Retry-After: 3600 s", "the 20 s of --retry-for"] {
        assert!(reported.contains(expected), "never reported {expected}: {reported}");
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_page_is_reported() -> Result<()> {
    let reported = refused(Fault::FirstPageAgain, "20s").await?;
    assert!(reported.contains("which is on another page"), "{reported}");
    Ok(())
}

#[tokio::test]
async fn an_empty_catalog_where_assets_are_declared_is_an_error() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    api.fail(Matcher::pages(), Fault::EmptyResults);
    let ended = world.crawl(&api)?.args(["--retry-for", "1s"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("/domains declares some"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_stays_unreadable_is_reported() -> Result<()> {
    let reported = refused(Fault::Html, "1s").await?;
    assert!(reported.contains("can't be read") && reported.contains("<!DOCTYPE html>"), "{reported}");
    let reported = refused(Fault::NoResults, "1s").await?;
    assert!(reported.contains("can't be read") && reported.contains("missing field `results`"), "{reported}");
    Ok(())
}

#[tokio::test]
async fn a_missing_token_is_reported_with_its_variable() -> Result<()> {
    let reported = refused(Fault::status(401), "1s").await?;
    assert!(reported.contains("answered 401") && reported.contains("SOCRATA_APP_TOKEN"), "{reported}");
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_reported_with_its_variable() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2)).tokens(["right"])).await?;
    let ended = world.crawl(&api)?.env("SOCRATA_APP_TOKEN", "wrong-marked-value").run().await?;
    assert_eq!((ended.code, api.requests().len()), (Some(1), 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("SOCRATA_APP_TOKEN"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("wrong-marked-value"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_third_of_bad_answers_of_all_kinds_costs_no_record() -> Result<()> {
    let world = World::new().await?;
    let api = api().await?;
    let kinds = [
        Fault::too_many_requests(None),
        Fault::too_many_requests(Some("0")),
        Fault::status(500),
        Fault::status(503),
        Fault::Html,
        Fault::CutJson,
        Fault::CutConnection,
        Fault::Stall,
        Fault::Hang,
        Fault::Reset,
        Fault::NoResults,
        Fault::EmptyResults,
    ];
    // Each fault hits a share of the requests, drawn independently: about a third in total.
    let faults: Vec<_> =
        (11..).zip(kinds).map(|(seed, kind)| api.fail(Matcher::any().share(0.035, seed), kind)).collect();
    let flags = ["--page-size", "10", "--timeout", "1s", "--concurrency", "4"];
    let ended = world.crawl(&api)?.args(flags).succeed().await?.summary()?;
    let fired: Vec<u64> = faults.iter().map(Injected::fired).collect();
    assert!(fired.iter().all(|times| *times > 0), "{fired:?}");
    assert_eq!((&ended["whole"], &ended["skipped"]), (&true.into(), &0.into()));
    let records = world.records("datasets").await?;
    let keys: Vec<_> = records.iter().map(|record| &record.key).filter(|key| !key.contains('#')).collect();
    assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (1_000, 1_000));
    Ok(())
}
