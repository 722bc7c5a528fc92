//! Common spellings of flags and variables are accepted, or refused by name.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use serde_json::json;

#[tokio::test]
async fn common_spellings_of_flags_and_variables_are_accepted() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(500, 5))).await?;
    let flags = ["--region", "US", "--datasets", "false", "--timeout", "30"];
    let reported = world.crawl(&api)?.args(flags).succeed().await?.summary()?;
    assert_eq!(
        (&reported["region"], &reported["published"]["datasets"]),
        (&json!("us"), &json!(null)),
        "{reported}"
    );
    let reported = world.crawl(&api)?.args(["--since", "2w"]).succeed().await?.summary()?;
    assert_eq!(reported["mode"], "since");
    Ok(())
}

#[tokio::test]
async fn an_unusable_proxy_variable_is_refused_by_name_without_its_password() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    for (name, value) in [("HTTP_PROXY", "socks5://me:Hunter2@127.0.0.1:1"), ("ALL_PROXY", "http://")] {
        let ended = world.crawl(&api)?.env(name, value).run().await?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.error()?.starts_with(name), "{}", ended.stderr);
        assert!(!ended.stderr.contains("Hunter2"), "{}", ended.stderr);
        assert_eq!(api.requests().len(), 0);
    }
    // A proxy that can't be resolved is logged before the first request fails.
    let nonsense = world.crawl(&api)?.env("HTTP_PROXY", "nonsense.invalid").args(["--retry-for", "0"]);
    let mut crawl = nonsense.start()?;
    let warning = crawl.logged(events::PROXY_UNRESOLVED).await?;
    assert_eq!((&warning["variable"], &warning["host"]), (&json!("HTTP_PROXY"), &json!("nonsense.invalid")));
    assert_eq!(crawl.ended().await?.code, Some(1));
    let exempt = world.crawl(&api)?.env("HTTP_PROXY", "socks5://x").env("NO_PROXY", "127.0.0.1");
    exempt.succeed().await?;
    Ok(())
}
