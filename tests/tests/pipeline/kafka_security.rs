//! TLS and logins to Kafka: with good ones both programs work, and with bad ones they name the cause and the setting to correct.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::certificates::{Authority, Validity, text};
use catalog_tests::docs::Page;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, Ended, Program, Running, World};
use futures::{TryStreamExt, stream};

/// A part of every secret.
const MARK: &str = "Ssst7Q";
const PASSWORD: &str = "Ssst7Qright";
const KEY_PASSWORD: &str = "Ssst7Qkey";

/// A broker, certificates for its clients, and a world with records.
struct Scene {
    broker: Broker,
    authority: Authority,
    stranger: Authority,
    world: World,
    api: MockServer,
}

impl Scene {
    async fn start() -> Result<Self> {
        let (authority, stranger) = (Authority::new("Catalog Test CA")?, Authority::new("Other CA")?);
        let broker = Broker::start_secure(&authority, PASSWORD).await?;
        let world = World::on(broker.address()?).await?;
        let api = MockServer::start(Options::new(Synthetic::new(40, 3))).await?;
        Ok(Self { broker, authority, stranger, world, api })
    }

    /// The options in a section of docs/how-to/tls-and-sasl.md, with these values in place of its own.
    fn documented(&self, heading: &str, values: &[(&str, &str)]) -> Result<String> {
        let page = Page::read("docs/how-to/tls-and-sasl.md")?;
        let file = self.authority.file();
        let values = [&[("/etc/catalog-stream/kafka-ca.pem", text(&file)?)], values].concat();
        Ok(format!("debug=security\n{}", page.exported(heading, "KAFKA_OPTIONS", &values)?))
    }

    /// Trusts the CA of the broker.
    fn trusting(&self, protocol: &str) -> Result<String> {
        let file = self.authority.file();
        Ok(format!("debug=security\nsecurity.protocol={protocol}\nssl.ca.location={}", text(&file)?))
    }

    /// A login over TLS.
    fn login(&self, mechanism: &str, password: &str) -> Result<String> {
        let tls = self.trusting("sasl_ssl")?;
        Ok(format!("{tls}\nsasl.mechanism={mechanism}\nsasl.username=catalog\nsasl.password={password}"))
    }

    /// A client certificate. Its key has a password.
    fn mutual(&self, authority: &Authority, name: &str) -> Result<String> {
        let client = authority.issue(name, &[], Validity::Now)?;
        client.encrypt_key(KEY_PASSWORD)?;
        Ok(format!(
            "{}\nssl.certificate.location={}\nssl.key.location={}\nssl.key.password={KEY_PASSWORD}",
            self.trusting("ssl")?,
            text(&client.certificate)?,
            text(&client.key)?
        ))
    }

    fn through(&self, program: Program, listener: &str, options: &str) -> Result<Program> {
        let program = program.env("KAFKA_BROKERS", &self.broker.listener(listener)?);
        Ok(program.env("KAFKA_OPTIONS", options).env("RUST_LOG", "trace"))
    }

    /// Crawls and consumes. The run must be complete. All of librdkafka's debug lines are logged, which would show a secret if
    /// anything does.
    async fn works(&self, listener: &str, options: &str) -> Result<()> {
        let options = &options.replace("debug=security", "debug=all");
        let crawl = self.world.crawl(&self.api)?;
        clean(&self.through(crawl, listener, options)?.succeed().await?);
        let ended = self.through(self.world.consume()?, listener, options)?.succeed().await?;
        clean(&ended);
        let summary = ended.summary()?;
        assert_eq!(summary["runs"][0]["state"], "balanced", "{listener}: {summary}");
        Ok(())
    }

    /// A crawl, a service and both doctors must name this cause, and this next step.
    async fn fails(&self, case: Case<'_>) -> Result<()> {
        let consumer = self.world.follow("catalog-consumer doctor --json --timeout 60s")?;
        let producer =
            self.world.follow("catalog-producer doctor --region us --rate none --json --timeout 60s")?;
        let producer = producer.env("CATALOG_API_URL", &self.api.url());
        let programs = [self.world.crawl(&self.api)?, self.world.member()?, consumer, producer];
        let [crawl, service, consumer, producer] =
            programs.map(|program| self.through(program, case.listener, &case.options));
        let (crawl, service) = (case.explained(crawl?), case.explained(service?));
        tokio::try_join!(crawl, service, case.examined(consumer?), case.examined(producer?))?;
        Ok(())
    }

    /// Certificates that this client or the broker does not accept.
    fn bad_certificates(&self) -> Result<Vec<Case<'_>>> {
        let (trusting, stranger) = (self.trusting("ssl")?, self.stranger.file());
        let other_ca = format!("debug=security\nsecurity.protocol=ssl\nssl.ca.location={}", text(&stranger)?);
        let (unknown, untrusted) = (
            "signed by Catalog Test CA, which is not in ssl.ca.location",
            "signed by Catalog Test CA, which this system does not trust",
        );
        let client = ("SSL alert number", "set ssl.certificate.location and ssl.key.location");
        Ok(vec![
            Case::new("TLS", other_ca, (unknown, "set ssl.ca.location")),
            Case::new("TLS", "security.protocol=ssl", (untrusted, "set ssl.ca.location")),
            Case::new("EXPIRED", trusting.clone(), ("has expired: it was valid until", "renew it")),
            Case::new(
                "ELSEWHERE",
                trusting.clone(),
                ("is for kafka.elsewhere.example", "make a certificate for 127.0.0.1"),
            ),
            Case::new("MUTUAL", trusting, client),
            Case::new("MUTUAL", self.mutual(&self.stranger, "stranger")?, client),
        ])
    }

    /// Logins and protocols that the broker does not accept.
    fn bad_logins(&self) -> Result<Vec<Case<'_>>> {
        let (tls, wrong) = (self.trusting("ssl")?, format!("{MARK}wrong"));
        let bare = self.login("PLAIN", PASSWORD)?.replace("sasl_ssl", "sasl_plaintext");
        let refused = ("Authentication failed", "correct the user, password or token");
        let plain = ("expects TLS, and this client does not use it", "set security.protocol");
        Ok(vec![
            Case::new("LOGIN", self.login("PLAIN", &wrong)?, refused),
            Case::new("LOGIN", self.login("SCRAM-SHA-256", &wrong)?, refused),
            Case::new("LOGIN", self.login("SCRAM-SHA-512", &wrong)?, refused),
            Case::new(
                "LOGIN",
                self.login("SCRAM-SHA-1", PASSWORD)?,
                ("broker's supported mechanisms", "set sasl.mechanism"),
            ),
            Case::new(
                "TLS",
                self.login("PLAIN", PASSWORD)?,
                ("not valid in current SASL state", "this port takes no login"),
            ),
            Case::new("TLS", "debug=security", plain),
            Case::new("LOGIN", bare, plain),
            Case::new("CLIENT", tls.clone(), ("in state SSL_HANDSHAKE", "this port probably has no TLS"))
                .waited_for(),
            Case::new("LOGIN", tls, ("in state UP", "the broker probably expects a login")).waited_for(),
        ])
    }
}

/// A wrong configuration, and what an error must contain.
struct Case<'a> {
    listener: &'a str,
    options: String,
    cause: &'a str,
    next: &'a str,
    /// It looks like a broker that is down.
    is_waited_for: bool,
}

impl<'a> Case<'a> {
    fn new(listener: &'a str, options: impl Into<String>, (cause, next): (&'a str, &'a str)) -> Self {
        Self { listener, options: options.into(), cause, next, is_waited_for: false }
    }

    fn waited_for(self) -> Self {
        Self { is_waited_for: true, ..self }
    }

    #[track_caller]
    fn explains(&self, found: &str, next: &str) {
        assert!(found.contains(self.cause), "no {}: {found}", self.cause);
        assert!(next.contains(self.next), "no {}: {next}, because of {found}", self.next);
    }

    /// The program ends with the cause, or waits and names it.
    async fn explained(&self, program: Program) -> Result<()> {
        if self.is_waited_for { self.warned(program.start()?).await } else { self.failed(program).await }
    }

    /// The doctor's finding about the brokers has the cause and the next step.
    async fn examined(&self, doctor: Program) -> Result<()> {
        let ended = doctor.run().await?;
        clean(&ended);
        let answer = ended.summary()?;
        let mut checks = answer["checks"].as_array().context("a list")?.iter();
        let broker = checks.find(|finding| finding["check"] == "brokers").context("a finding")?;
        assert_eq!(broker["level"], "problem", "{broker}");
        self.explains(&broker["found"].to_string(), &broker["next"].to_string());
        Ok(())
    }

    async fn warned(&self, mut running: Running) -> Result<()> {
        let warning = loop {
            let warning = running.logged(events::KAFKA_UNREACHABLE).await?;
            // The first one may come before anything is known.
            if warning["reason"].to_string().contains(self.cause) {
                break warning;
            }
        };
        self.explains(&warning["reason"].to_string(), &warning["next"].to_string());
        running.terminate()?;
        clean(&running.ended().await?);
        Ok(())
    }

    async fn failed(&self, program: Program) -> Result<()> {
        let ended = program.run().await?;
        clean(&ended);
        assert_eq!(ended.code, Some(1), "{}: {}", self.listener, ended.stderr);
        let error = ended.error()?;
        self.explains(&error, &error);
        Ok(())
    }
}

#[track_caller]
fn clean(ended: &Ended) {
    for line in ended.stdout.lines().chain(ended.stderr.lines()) {
        assert!(!line.contains(MARK), "a secret was printed: {line}");
    }
}

#[tokio::test]
async fn both_programs_work_over_tls_and_with_each_login() -> Result<()> {
    let scene = Scene::start().await?;
    scene.works("TLS", &scene.documented("Kafka: TLS", &[])?).await?;
    let client = scene.authority.issue("client", &[], Validity::Now)?;
    client.encrypt_key(KEY_PASSWORD)?;
    let values = [
        ("/etc/catalog-stream/client.pem", text(&client.certificate)?),
        ("/etc/catalog-stream/client.key", text(&client.key)?),
        ("password=…", &format!("password={KEY_PASSWORD}")),
    ];
    scene.works("MUTUAL", &scene.documented("Kafka: client certificates", &values)?).await?;
    let values =
        [("username=catalog-consumer", "username=catalog"), ("password=…", &format!("password={PASSWORD}"))];
    let login = scene.documented("Kafka: a user and a password", &values)?;
    assert!(login.contains("SCRAM-SHA-512"), "{login}");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        scene.works("LOGIN", &login.replace("SCRAM-SHA-512", mechanism)).await?;
    }
    let bare = scene.login("SCRAM-SHA-512", PASSWORD)?.replace("sasl_ssl", "sasl_plaintext");
    scene.works("BARE_LOGIN", &bare).await?;
    let token = "sasl.mechanism=OAUTHBEARER\nenable.sasl.oauthbearer.unsecure.jwt=true\nsasl.oauthbearer.config=principal=me";
    scene.works("LOGIN", &format!("{}\n{token}", scene.trusting("sasl_ssl")?)).await
}

#[tokio::test]
async fn a_certificate_or_a_login_that_is_not_accepted_is_explained() -> Result<()> {
    let scene = Scene::start().await?;
    let cases = scene.bad_certificates()?.into_iter().chain(scene.bad_logins()?);
    stream::iter(cases.map(Ok)).try_for_each_concurrent(2, |case| scene.fails(case)).await
}

#[tokio::test]
async fn a_setting_that_can_not_work_is_refused_before_anything_is_tried() -> Result<()> {
    // Nothing listens there.
    let world = World::on("127.0.0.1:1".to_owned()).await?;
    let api = MockServer::start(Options::new(Synthetic::new(10, 1))).await?;
    for (options, named, code) in [
        // A file may be replaced at the moment, so a restart may help.
        ("security.protocol=ssl;ssl.ca.location=/nothing/ca.pem", "can't read /nothing/ca.pem", 1),
        ("security.protocol=sasl_ssl", "set sasl.mechanism to PLAIN", 2),
        ("security.protocol=sasl_ssl;sasl.mechanism=PLAIN;sasl.password=Ssst7Q", "sasl.username", 2),
        (
            "sasl.oauthbearer.method=oidc;sasl.oauthbearer.client.secret=Ssst7Q",
            "needs sasl.mechanism=OAUTHBEARER",
            2,
        ),
        (
            "security.protocol=sasl_ssl;sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc;\
             sasl.oauthbearer.client.id=me;sasl.oauthbearer.client.secret=Ssst7Q",
            "sasl.oauthbearer.token.endpoint.url is mandatory",
            2,
        ),
    ] {
        for program in [world.crawl(&api)?, world.consume()?, world.status()?] {
            let ended = program.env("KAFKA_OPTIONS", options).run().await?;
            clean(&ended);
            assert_eq!(ended.code, Some(code), "{options}: {}", ended.stderr);
            assert!(ended.error()?.contains(named), "{options}: {}", ended.stderr);
        }
    }
    Ok(())
}
