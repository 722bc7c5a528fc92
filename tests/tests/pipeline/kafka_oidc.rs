//! OAUTHBEARER with OIDC: a broker that accepts signed tokens only, and the endpoint from which clients get them.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::certificates::{Authority, Validity, text};
use catalog_tests::docs::Page;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, CLIENT, Ended, Program, TokenEndpoint, World};
use futures::{TryStreamExt, stream};

/// A part of every secret.
const MARK: &str = "Ssst7Q";
const SECRET: &str = "Ssst7Q/r=i+ght";
const WRONG: &str = "Ssst7Qwrong";

/// A broker, the endpoint for its tokens, and a world with records.
struct Scene {
    broker: Broker,
    authority: Authority,
    endpoint: TokenEndpoint,
    world: World,
    api: MockServer,
}

impl Scene {
    async fn start() -> Result<Self> {
        let authority = Authority::new("Catalog Test CA")?;
        let certificate = authority.issue("endpoint", &["127.0.0.1"], Validity::Now)?;
        let endpoint = TokenEndpoint::start(SECRET, Some(&certificate))?;
        let broker = Broker::start_with_tokens(&authority, &endpoint).await?;
        let world = World::on(broker.address()?).await?;
        let api = MockServer::start(Options::new(Synthetic::new(40, 3))).await?;
        Ok(Self { broker, authority, endpoint, world, api })
    }

    /// The settings of docs/how-to/tls-and-sasl.md, with tokens from this URL.
    fn options(&self, url: &str) -> Result<String> {
        let page = Page::read("docs/how-to/tls-and-sasl.md")?;
        let authority = self.authority.file();
        let ca = text(&authority)?;
        let values = [
            ("/etc/catalog-stream/kafka-ca.pem", ca),
            ("/etc/catalog-stream/login-ca.pem", ca),
            ("https://login.internal/oauth2/token", url),
            ("client.id=catalog-consumer", &format!("client.id={CLIENT}")),
            ("client.secret=…", &format!("client.secret={SECRET}")),
        ];
        page.exported("Kafka: OAUTHBEARER with OIDC", "KAFKA_OPTIONS", &values)
    }

    fn through(&self, program: Program, options: &str) -> Result<Program> {
        let program = program.env("KAFKA_BROKERS", &self.broker.listener("TOKENS")?);
        Ok(program.env("KAFKA_OPTIONS", options).env("RUST_LOG", "trace"))
    }

    /// Neither the secret nor a token that brokers accept may be printed.
    #[track_caller]
    fn clean(&self, ended: &Ended) {
        let (signatures, login) = (self.endpoint.signatures(), self.endpoint.login());
        for line in ended.stdout.lines().chain(ended.stderr.lines()) {
            assert!(!line.contains(MARK) && !line.contains(&login), "a secret was printed: {line}");
            assert!(!signatures.iter().any(|token| line.contains(token)), "a token was printed: {line}");
        }
    }

    /// The finding of `doctor` about the brokers: it and its next command.
    async fn finding(&self, options: &str) -> Result<[String; 2]> {
        let doctor = self.world.follow("catalog-consumer doctor --json --timeout 60s")?;
        let ended = self.through(doctor, options)?.run().await?;
        self.clean(&ended);
        let answer = ended.summary()?;
        let mut checks = answer["checks"].as_array().context("a list")?.iter();
        let broker = checks.find(|finding| finding["check"] == "brokers").context("a finding")?;
        assert_eq!(broker["level"], "problem", "{broker}");
        Ok([broker["found"].to_string(), broker["next"].to_string()])
    }

    /// A crawl and a service end with this cause and this next step, and `doctor` names both.
    async fn fails(&self, (options, cause, next): (String, &str, &str)) -> Result<()> {
        for program in [self.world.crawl(&self.api)?, self.world.member()?] {
            let ended = self.through(program, &options)?.run().await?;
            self.clean(&ended);
            assert_eq!(ended.code, Some(1), "{cause}: {}", ended.stderr);
            let error = ended.error()?;
            assert!(error.contains(cause) && error.contains(next), "no {cause}, {next}: {error}");
        }
        let [found, step] = self.finding(&options).await?;
        assert!(found.contains(cause) && step.contains(next), "no {cause}, {next}: {found}: {step}");
        Ok(())
    }

    /// A crawl waits as if the brokers were down, and warns with this cause. `doctor` does not wait.
    async fn waits(&self, (options, cause, next): (String, &str, &str)) -> Result<()> {
        let mut crawl = self.through(self.world.crawl(&self.api)?, &options)?.start()?;
        let warning = crawl.logged(events::KAFKA_UNREACHABLE).await?;
        let (reason, step) = (warning["reason"].to_string(), warning["next"].to_string());
        assert!(reason.contains(cause) && step.contains(next), "no {cause}: {warning}");
        crawl.terminate()?;
        self.clean(&crawl.ended().await?);
        let [found, step] = self.finding(&options).await?;
        assert!(found.contains(cause) && step.contains(next), "no {cause}: {found}: {step}");
        Ok(())
    }
}

#[tokio::test]
async fn both_programs_work_with_signed_tokens() -> Result<()> {
    let scene = Scene::start().await?;
    // All of librdkafka's debug lines are logged, which would show a secret if anything does.
    let options =
        format!("{}\ndebug=all", scene.options(&scene.endpoint.url(&format!("token?code={MARK}")))?);
    let crawl = scene.through(scene.world.crawl(&scene.api)?, &options)?.succeed().await?;
    let consumed = scene.through(scene.world.consume()?, &options)?.succeed().await?;
    let summary = consumed.summary()?;
    assert_eq!(summary["runs"][0]["state"], "balanced", "{summary}");
    let requests = scene.endpoint.requests();
    assert!(requests.iter().any(|body| body.contains("scope=kafka")), "{requests:?}");
    for ended in [&crawl, &consumed] {
        scene.clean(ended);
        assert!(ended.stderr.contains("librdkafka"), "no debug lines: {}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_refused_is_explained() -> Result<()> {
    let scene = Scene::start().await?;
    let of = |path: &str| scene.options(&scene.endpoint.url(path));
    let good = of("token")?;
    // Then the system's certificates count.
    let untrusted: Vec<&str> = good.lines().filter(|line| !line.starts_with("https.ca")).collect();
    let refused = "the brokers do not accept the token";
    let cases = [
        (good.replace(SECRET, WRONG), "(401)", "sasl.oauthbearer.client.secret"),
        (
            good.replace(&format!("client.id={CLIENT}"), "client.id=nobody"),
            "(401)",
            "sasl.oauthbearer.client.id",
        ),
        // The answer is plain text that quotes the login.
        (
            of(&format!("plain?code={MARK}"))?,
            "not shown, because it may contain the secret (401)",
            "sasl.oauthbearer.client.secret",
        ),
        (untrusted.join("\n"), "SSL certificate problem", "set https.ca.location"),
        (of("expired")?, "unexpired token", "correct the clock"),
        (of("other-audience")?, "invalid_token", refused),
        (of("other-key")?, "invalid_token", refused),
    ];
    stream::iter(cases.map(Ok)).try_for_each_concurrent(2, |case| scene.fails(case)).await
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_waited_for() -> Result<()> {
    let scene = Scene::start().await?;
    let of = |path: &str| scene.options(&scene.endpoint.url(path));
    let url = "check sasl.oauthbearer.token.endpoint.url";
    let cases = [
        // Nothing listens there.
        (scene.options("https://127.0.0.1:1/token")?, "127.0.0.1 port 1", url),
        (
            of("busy")?,
            "no answer yet, neither from the token endpoint",
            "check --brokers (KAFKA_BROKERS) and sasl",
        ),
        // As of an ingress while the identity provider is redeployed.
        (of("nothing")?, "not_found (404)", url),
    ];
    stream::iter(cases.map(Ok)).try_for_each_concurrent(2, |case| scene.waits(case)).await
}
