//! An API that refuses the token or this host, or is slow.

use anyhow::Result;
use catalog_tests::mock_server::{Fault as Answer, Matcher, MockServer, Options, Region};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;

use super::{Fault, find};

const DOCTOR: &str = "catalog-producer doctor --region us";

fn catalog() -> Options {
    Options::new(Synthetic::new(200, 5))
}

#[tokio::test]
async fn api_403() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(catalog().tokens(["another"])).await?);
    let operator = world.operator()?.env("CATALOG_API_URL", &api.url());
    let with_token = operator.env("SOCRATA_APP_TOKEN", "wrong7Qtoken");
    let fault = Fault::named("API 403")?;
    let found = fault.find(&with_token, "403").await?;
    assert!(!found.to_string().contains("7Q"), "{found}");
    // The API works without the token, so the token is wrong.
    let shown = with_token.next(&found).await?;
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    fault.is_over(&with_token.env("SOCRATA_APP_TOKEN", "another")).await
}

#[tokio::test]
async fn api_403_without_a_token() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(catalog()).await?);
    let operator = world.operator()?.env("CATALOG_API_URL", &api.url());
    api.fail(Matcher::pages(), Answer::Gateway { status: 403 });
    let found = find(&operator, DOCTOR, "api", "problem").await?;
    let shown = operator.next(&found).await?;
    assert!(shown.code == Some(0) && shown.stdout.starts_with("HTTP/1.1 403"), "{}", shown.stdout);
    Ok(())
}

#[tokio::test]
async fn api_slow() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(catalog()).await?);
    let operator = world.operator()?.env("CATALOG_API_URL", &api.url());
    let fault = Fault::named("API slow")?;
    fault.is_over(&operator).await?;
    let answered = api.requests().len();
    let mut gate = api.hold(Matcher::pages().that(move |request| request.sequence > answered as u64 + 1));
    let impatient = operator.env("CATALOG_DOCTOR_TIMEOUT", "5s");
    let found = fault.find(&impatient, "too slow").await?;
    // The next command waits for the same API.
    let waits = async {
        gate.arrived().await;
        gate.release();
    };
    let (shown, ()) = tokio::join!(impatient.next(&found), waits);
    let shown = shown?;
    assert!(
        shown.code == Some(0) && shown.stdout.starts_with("200 after "),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    Ok(())
}

/// The other next commands about the API.
#[tokio::test]
async fn other_answers() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(catalog()).await?);
    let operator = world.operator()?.env("CATALOG_API_URL", &api.url());
    for fault in [Answer::status(404), Answer::status(500), Answer::too_many_requests(None), Answer::Reset] {
        let injected = api.fail(Matcher::pages(), fault.clone());
        let found = find(&operator, DOCTOR, "api", "problem").await?;
        injected.lift();
        let shown = operator.next(&found).await?;
        assert_eq!(shown.code, Some(0), "{fault:?}: {found}\n{}{}", shown.stdout, shown.stderr);
    }
    let injected = api.fail(Matcher::domains(), Answer::Reset);
    let found = find(&operator, DOCTOR, "api_domains", "warning").await?;
    injected.lift();
    assert_eq!(operator.next(&found).await?.code, Some(0));

    let eu = MockServer::start(catalog().region(Region::Eu)).await?;
    let operator = operator.env("CATALOG_API_URL", &eu.url());
    let found = find(&operator, DOCTOR, "api_region_header", "problem").await?;
    assert_eq!(operator.next(&found).await?.code, Some(0));
    Ok(())
}
