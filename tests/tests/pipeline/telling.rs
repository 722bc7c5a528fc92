//! What a crawl tells in the end: its retries by cause, and the id of the request that it failed at.

use anyhow::Result;
use catalog_tests::double::{Double, Fault, Matcher, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::json;

#[tokio::test]
async fn the_summary_tells_retries_by_cause_and_the_waits() -> Result<()> {
    let world = World::new().await?;
    let double = Double::start(Options::new(Synthetic::new(500, 5))).await?;
    let faults =
        [Fault::too_many_requests(None), Fault::status(500), Fault::status(503), Fault::Html, Fault::Reset];
    for (fault, n) in faults.into_iter().zip(1..) {
        double.fail_once(Matcher::any().first_attempt().nth(n), fault);
    }
    let ended = world.crawl(&double)?.args(["--rate", "50"]).succeed().await?.summary()?;
    let causes = json!({"throttled": 1, "server_error": 2, "network": 1, "unreadable": 1});
    assert_eq!((&ended["retries_by_cause"], &ended["retries"]), (&causes, &json!(5)));
    assert_eq!(ended["requests"], double.requests().len());
    assert!(
        ended["limiter_seconds"].as_f64() > Some(0.0) && ended["requests_per_second"].as_f64() > Some(0.0)
    );
    Ok(())
}

#[tokio::test]
async fn an_error_names_the_request_that_it_came_from() -> Result<()> {
    let world = World::new().await?;
    let double = Double::start(Options::new(Synthetic::new(500, 5))).await?;
    for matcher in [Matcher::domains(), Matcher::pages()] {
        double.fail(matcher, Fault::status(404));
        let ended = world.crawl(&double)?.args(["--concurrency", "1"]).run().await?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let asked = double.requests();
        let id = asked.last().and_then(|asked| asked.request_id.clone()).unwrap();
        let error = ended.stderr.lines().last().unwrap();
        assert!(error.starts_with("error: ") && error.contains(&id), "{id}: {error}");
        double.heal();
    }
    Ok(())
}
