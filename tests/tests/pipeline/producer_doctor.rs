//! `catalog-producer doctor` names what is wrong with Kafka or the API, and the next command for it.

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::{Fault, Matcher, MemoryCatalog, MockServer, Options, Region};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, Ended, Program, World};
use serde_json::Value;

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";
const TOKEN: &str = "Ssst7QappSsst7QtokenSsst7Q";
/// The rules that a crawl relies on.
const RULES: [&str; 16] = [
    "api_region_header",
    "api_clock",
    "api_empty_scroll",
    "api_limit",
    "api_exclusive_bound",
    "api_unknown_id",
    "api_end",
    "api_window",
    "api_order",
    "api_bad_limit",
    "api_unknown_domain",
    "api_unknown_parameter",
    "api_domains",
    "api_newest_first",
    "api_domain_filter",
    "api_speed",
];

fn doctor(world: &World, url: &str) -> Result<Program> {
    let program = world.follow("catalog-producer doctor --region us --rate none --json")?;
    Ok(program.env("CATALOG_API_URL", url))
}

async fn api() -> Result<MockServer> {
    Ok(MockServer::start(Options::new(Synthetic::new(200, 5))).await?)
}

/// The finding of a check, which must have this level.
fn finding<'a>(answer: &'a Value, check: &str, level: &str) -> Result<&'a Value> {
    let all = answer["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|finding| finding["check"] == check);
    let found = found.with_context(|| format!("no {check}: {answer}"))?;
    ensure!(found["level"] == level, "{check} is not {level}: {found}");
    Ok(found)
}

fn next(finding: &Value) -> Result<&str> {
    finding["next"].as_str().with_context(|| format!("no next command: {finding}"))
}

async fn answer(program: Program, code: i32) -> Result<Value> {
    let ended: Ended = program.run().await?;
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended.summary()
}

#[tokio::test]
async fn a_known_api_follows_every_rule_in_a_dozen_requests() -> Result<()> {
    let (world, api) = (World::new().await?, api().await?);
    let before = answer(doctor(&world, &api.url())?, 0).await?;
    for check in
        RULES.into_iter().chain(["configuration", "api", "brokers", "topics", "transactions", "cursor"])
    {
        finding(&before, check, "ok")?;
    }
    let requests = api.requests().len();
    assert_eq!(requests, 12);
    world.crawl(&api)?.succeed().await?;
    let after = answer(doctor(&world, &api.url())?, 0).await?;
    assert!(finding(&after, "cursor", "ok")?["found"].to_string().contains("run 1 of us is the last one"));
    // A running crawl must not be fenced by the transactional producer of a doctor.
    let crawl = world.crawl(&api)?.args(["--rate", "20"]).start()?;
    answer(doctor(&world, &api.url())?, 0).await?;
    assert_eq!(crawl.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_refused_token_is_named_and_not_shown() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2)).tokens(["another"])).await?;
    let program = doctor(&world, &api.url())?.env("SOCRATA_APP_TOKEN", TOKEN).env("RUST_LOG", "trace");
    let ended = program.env("KAFKA_OPTIONS", "sasl.username=me\nsasl.password=Ssst7Q").run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for line in ended.stdout.lines().chain(ended.stderr.lines()) {
        assert!(!line.contains("Ssst7Q"), "a secret was printed: {line}");
    }
    let answer = ended.summary()?;
    let found = finding(&answer, "api", "problem")?;
    assert!(
        found["found"].to_string().contains("403") && next(found)?.contains("SOCRATA_APP_TOKEN"),
        "{found}"
    );
    finding(&answer, "api_empty_scroll", "skipped")?;
    finding(&answer, "brokers", "ok")?;
    Ok(())
}

#[tokio::test]
async fn an_unreachable_api_or_kafka_leaves_the_other_checks() -> Result<()> {
    let (world, api) = (World::new().await?, api().await?);
    let found = answer(doctor(&world, &format!("http://{NOWHERE}/api"))?, 1).await?;
    assert!(next(finding(&found, "api", "problem")?)?.contains("CATALOG_API_URL"));
    finding(&found, "topics", "ok")?;
    let found = answer(doctor(&world, &api.url())?.env("KAFKA_BROKERS", NOWHERE), 1).await?;
    assert!(next(finding(&found, "brokers", "problem")?)?.contains("KAFKA_BROKERS"));
    for check in ["advertised_listeners", "topics", "transactions", "cursor"] {
        finding(&found, check, "skipped")?;
    }
    finding(&found, "api_empty_scroll", "ok")?;
    Ok(())
}

#[tokio::test]
async fn an_api_that_breaks_a_rule_is_a_problem_with_that_rule() -> Result<()> {
    let (world, api) = (World::new().await?, api().await?);
    for (matcher, fault, check) in [
        (Matcher::pages(), Fault::IgnoreScroll, "api_empty_scroll"),
        (Matcher::pages(), Fault::FirstPageAgain, "api_exclusive_bound"),
        (Matcher::domains(), Fault::Html, "api_domains"),
    ] {
        let injected = api.fail(matcher, fault);
        let found = answer(doctor(&world, &api.url())?, 1).await?;
        injected.lift();
        let command = next(finding(&found, check, "problem")?)?;
        // The next command records what a crawl would receive.
        let folder = tempfile::tempdir()?;
        let (words, path) = (command.strip_suffix("recording").context("a folder")?, folder.path().display());
        let recorded = world.follow(&format!("{words}{path}/recording --rate none"))?;
        recorded.env("CATALOG_API_URL", &api.url()).succeed().await?;
        assert!(folder.path().join("recording").read_dir()?.next().is_some());
    }
    Ok(())
}

#[tokio::test]
async fn a_single_error_of_the_server_or_the_network_breaks_no_rule() -> Result<()> {
    let (world, api) = (World::new().await?, api().await?);
    for (matcher, fault, check, words) in [
        (Matcher::pages().nth(2), Fault::status(503), "api_exclusive_bound", "again later"),
        (Matcher::domains(), Fault::Gateway { status: 502 }, "api_domains", "again later"),
        (Matcher::pages().nth(2), Fault::Reset, "api_exclusive_bound", "network"),
    ] {
        let injected = api.fail(matcher, fault);
        let found = answer(doctor(&world, &api.url())?, 0).await?;
        injected.lift();
        assert!(next(finding(&found, check, "warning")?)?.contains(words), "{check}: {found}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_domain_the_filter_by_domain_is_skipped() -> Result<()> {
    let world = World::new().await?;
    let catalog = MemoryCatalog::new();
    for id in ["aaaa-2222", "aaaa-2224"] {
        let object = format!(r#"{{"resource":{{"id":"{id}","updatedAt":"2024-01-01T00:00:00.000Z"}}}}"#);
        catalog.put_as(id, "a.example", object);
    }
    let api = MockServer::start(Options::new(catalog)).await?;
    let ended = doctor(&world, &api.url())?.run().await?;
    finding(&ended.summary()?, "api_domain_filter", "skipped")?;
    Ok(())
}

#[tokio::test]
async fn another_region_html_and_throttling_are_named() -> Result<()> {
    let world = World::new().await?;
    let eu = MockServer::start(Options::new(Synthetic::new(50, 2)).region(Region::Eu)).await?;
    let found = answer(doctor(&world, &eu.url())?, 1).await?;
    assert!(next(finding(&found, "api_region_header", "problem")?)?.contains("--region"));
    let api = api().await?;
    for (fault, words) in
        [(Fault::Html, "can't be read"), (Fault::too_many_requests(None), "429"), (Fault::status(500), "500")]
    {
        let injected = api.fail(Matcher::pages(), fault);
        let found = answer(doctor(&world, &api.url())?, 1).await?;
        injected.lift();
        let found = finding(&found, "api", "problem")?;
        assert!(found["found"].to_string().contains(words), "{found}");
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_that_advertises_an_unreachable_address_is_named() -> Result<()> {
    let broker = Broker::start_with("advertised.listeners=CLIENT://127.0.0.1:1\n").await?;
    let (world, api) = (World::on(broker.address()?).await?, api().await?);
    let found = answer(doctor(&world, &api.url())?, 1).await?;
    let listener = finding(&found, "advertised_listeners", "problem")?;
    assert!(
        listener["found"].to_string().contains("127.0.0.1:1,")
            && next(listener)?.contains("advertised.listeners")
    );
    Ok(())
}
