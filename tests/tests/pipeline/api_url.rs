//! An API that can't be crawled is found before a run is claimed.

use anyhow::Result;
use catalog_tests::mock_server::{Asked, Fault, Matcher, MockServer, Options, Region};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

fn options() -> Options {
    Options::new(Synthetic::new(300, 4))
}

/// How many runs the region's cursors mention.
async fn claims(world: &World) -> Result<usize> {
    Ok(world.records("cursors").await?.len())
}

/// A crawl of a URL that is wrong leaves nothing behind that the corrected one would have to give up.
async fn found_before_a_claim(url: &str, reported: &str) -> Result<()> {
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
async fn a_path_that_is_not_there() -> Result<()> {
    let wrong = MockServer::start(options()).await?;
    found_before_a_claim(&format!("{}/nowhere", wrong.base()), "answered 404").await?;
    assert_eq!(wrong.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn another_region() -> Result<()> {
    let wrong = MockServer::start(options().region(Region::Eu)).await?;
    found_before_a_claim(&wrong.url(), "another region answered").await
}

#[tokio::test]
async fn a_page_for_people() -> Result<()> {
    let wrong = MockServer::start(options()).await?;
    wrong.fail(Matcher::any(), Fault::Html);
    found_before_a_claim(&wrong.url(), "can't be read").await
}

#[tokio::test]
async fn a_server_that_is_not_there() -> Result<()> {
    let gone = MockServer::start(options()).await?;
    let url = gone.url();
    drop(gone);
    found_before_a_claim(&url, "the request failed").await
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
async fn the_check_is_page_0_of_a_new_run_and_a_resume_does_without() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(options()).await?);
    let domains = || api.requests().iter().filter(|asked| asked.is_domains()).count();
    let behind = |asked: &Asked| asked.param("scroll_id") != Some("");
    let mut gate = api.hold(Matcher::pages().that(behind));
    let mut crawl = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    crawl.reaches(gate.arrived()).await?;
    crawl.kill().await?;
    gate.release();
    assert_eq!(domains(), 1);

    // Were it asked for, the crawl would fail.
    api.fail(Matcher::domains(), Fault::status(404));
    let ended = world.crawl(&api)?.succeed().await?.summary()?;
    assert_eq!((&ended["run"], &ended["whole"], domains()), (&1.into(), &true.into(), 1));
    let records = world.records("domains").await?;
    let pages: Vec<_> =
        records.iter().filter(|record| !record.is_marker()).map(|r| &r.headers["page"]).collect();
    assert!(!pages.is_empty() && pages.iter().all(|page| *page == "0"), "{pages:?}");
    Ok(())
}
