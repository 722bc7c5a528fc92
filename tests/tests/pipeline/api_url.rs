//! A wrong API URL is reported before the producer claims a run.

use anyhow::Result;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options, ReceivedRequest, Region};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

fn options() -> Options {
    Options::new(Synthetic::new(300, 4))
}

/// The number of cursor records, which is the number of claims and commits.
async fn claims(world: &World) -> Result<usize> {
    Ok(world.records("cursors").await?.len())
}

/// A crawl of a wrong URL leaves no run behind, so the corrected command starts with run 1.
async fn assert_reported_before_a_claim(url: &str, reported: &str) -> Result<()> {
    let world = World::new().await?;
    let right = MockServer::start(options()).await?;
    let ended = world.crawl(&right)?.args(["--api-url", url, "--retry-for", "1s"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no run was started") && ended.stderr.contains(reported),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.summary()?["failed"], true);
    assert_eq!((claims(&world).await?, right.requests().len()), (0, 0));
    let summary = world.crawl(&right)?.succeed().await?.summary()?;
    assert_eq!((&summary["run"], &summary["whole"]), (&1.into(), &true.into()));
    Ok(())
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_reported_before_a_claim() -> Result<()> {
    let wrong = MockServer::start(options()).await?;
    assert_reported_before_a_claim(&format!("{}/nowhere", wrong.base()), "answered 404").await?;
    assert_eq!(wrong.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_api_of_another_region_is_reported_before_a_claim() -> Result<()> {
    let wrong = MockServer::start(options().region(Region::Eu)).await?;
    assert_reported_before_a_claim(&wrong.url(), "another region answered").await
}

#[tokio::test]
async fn an_html_page_is_reported_before_a_claim() -> Result<()> {
    let wrong = MockServer::start(options()).await?;
    wrong.fail(Matcher::any(), Fault::Html);
    assert_reported_before_a_claim(&wrong.url(), "can't be read").await
}

#[tokio::test]
async fn an_unreachable_server_is_reported_before_a_claim() -> Result<()> {
    let gone = MockServer::start(options()).await?;
    let url = gone.url();
    drop(gone);
    assert_reported_before_a_claim(&url, "the request failed").await
}

#[tokio::test]
async fn a_wrong_url_with_domains_is_not_blamed_on_the_domains() -> Result<()> {
    let (world, wrong) = (World::new().await?, MockServer::start(options()).await?);
    let url = format!("{}/nowhere", wrong.base());
    let ended = world.crawl(&wrong)?.args(["--domain", "a.example", "--api-url", &url]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("see --api-url") && !ended.stderr.contains("--domain:"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn a_new_run_checks_the_url_with_page_0_and_a_resumed_run_does_not() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(options()).await?);
    let domains = || api.requests().iter().filter(|received| received.is_domains()).count();
    let after_first_page = |received: &ReceivedRequest| received.param("scroll_id") != Some("");
    let mut gate = api.hold(Matcher::pages().that(after_first_page));
    let mut crawl = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    crawl.reaches(gate.arrived()).await?;
    crawl.kill().await?;
    gate.release();
    assert_eq!(domains(), 1);

    // If it were requested, the crawl would fail.
    api.fail(Matcher::domains(), Fault::status(404));
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((&ended["run"], &ended["whole"], domains()), (&1.into(), &true.into(), 1));
    let records = world.records("domains").await?;
    let pages: Vec<_> =
        records.iter().filter(|record| !record.is_end_record()).map(|r| &r.headers["page"]).collect();
    assert!(!pages.is_empty() && pages.iter().all(|page| *page == "0"), "{pages:?}");
    Ok(())
}
