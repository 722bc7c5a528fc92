//! An API that misbehaves gets a whole crawl or an error, never a short crawl that calls itself whole.

use anyhow::Result;
use catalog_tests::double::{Double, Fault, Matcher, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

async fn double() -> Result<Double> {
    Ok(Double::start(Options::new(Synthetic::new(1_000, 5))).await?)
}

#[tokio::test]
async fn what_may_pass_is_asked_again() -> Result<()> {
    let world = World::new().await?;
    let double = double().await?;
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
    ];
    let injected = faults
        .into_iter()
        .zip(1..)
        .map(|(fault, n)| double.fail_once(Matcher::any().first_attempt().nth(n), fault));
    let injected: Vec<_> = injected.collect();
    let ended = world.crawl(&double)?.succeed().await?.summary()?;
    assert!(injected.iter().all(|fault| fault.fired() == 1));
    assert_eq!(ended["retries"], injected.len());
    assert_eq!(ended["published"]["datasets"], 1_000);
    Ok(())
}

#[tokio::test]
async fn an_empty_answer_is_not_the_end() -> Result<()> {
    let world = World::new().await?;
    let double = double().await?;
    let empty = double.fail_times(
        3,
        Matcher::pages().first_attempt().that(|asked| asked.sequence % 3 == 0),
        Fault::EmptyResults,
    );
    let ended = world.crawl(&double)?.succeed().await?.summary()?;
    assert_eq!((empty.fired(), ended["published"]["datasets"].as_u64()), (3, Some(1_000)));
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_scroll_by_id_is_refused() -> Result<()> {
    let world = World::new().await?;
    let double = double().await?;
    double.fail(Matcher::pages(), Fault::IgnoreScroll);
    let ended = world.crawl(&double)?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("doesn't scroll by id"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn what_will_not_pass_is_not_asked_again() -> Result<()> {
    let world = World::new().await?;
    let double = double().await?;
    double.fail(Matcher::pages(), Fault::status(403));
    let ended = world.crawl(&double)?.args(["--concurrency", "1"]).run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(double.requests().iter().filter(|asked| asked.is_page()).count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_page_that_comes_short_is_not_the_end_either() -> Result<()> {
    let world = World::new().await?;
    let catalog = Synthetic::new(1_000, 5);
    // The API drops documents that it can't read, and still counts them.
    let dropped: Vec<String> = (0..1_000).step_by(4).map(|index| catalog.id(index)).collect();
    let double = Double::start(Options::new(catalog)).await?;
    double.drop_from_results(dropped);
    let ended = world.crawl(&double)?.succeed().await?.summary()?;
    assert_eq!(ended["published"]["datasets"], 750);
    Ok(())
}
