//! TLS and logins to PostgreSQL: with good ones the consumer works, and with bad ones it names the cause and the parameter to
//! correct.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::certificates::{Authority, Validity, text};
use catalog_tests::docs::Page;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{DatabaseServer, Ended, Program, World};

/// A part of the passwords of all users of a world.
const MARK: &str = "7Q";
const HERE: &str = "127.0.0.1";
/// The page with the URLs of both logins, and what is replaced there.
const PAGE: &str = "docs/how-to/tls-and-sasl.md";
const SERVER: &str = "postgres://catalog_writer@db.internal/mydb";
const CA: &str = "/etc/catalog-stream/db-ca.pem";

/// A server with TLS and a migrated database. The owner logs in with a certificate, the writer with a password.
struct Scene {
    server: DatabaseServer,
    authority: Authority,
    stranger: Authority,
    world: World,
    /// The writer's URL, without parameters.
    writer: String,
    owner: String,
}

impl Scene {
    async fn start() -> Result<Self> {
        let (authority, stranger) = (Authority::new("Catalog Test CA")?, Authority::new("Other CA")?);
        let server = DatabaseServer::start().await?;
        let world = World::on_server(&server).await?;
        let (owner, writer) = (world.user("_owner", "").await?, world.user("_writer", "").await?);
        world.user("_reader", "").await?;
        world.grant_roles().await?;
        let bare = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        let (owner, writer) = (bare(&owner).replace(":user7Q@", "@"), bare(&writer));
        let scene = Self { server, authority, stranger, world, writer, owner };
        scene.serve("here", HERE, Validity::Now).await?;
        let migrate = scene.world.ask(&["migrate"])?.env("DATABASE_URL", &scene.owner_url("", None)?);
        clean(&migrate.succeed().await?);
        Ok(scene)
    }

    async fn serve(&self, name: &str, host: &str, validity: Validity) -> Result<()> {
        let certificate = self.authority.issue(name, &[host], validity)?;
        let database = self.world.database();
        let rules = format!(
            "hostssl {database} {database}_owner {HERE}/32 cert\nhostssl {database} {database}_writer {HERE}/32 scram-sha-256"
        );
        self.server.secure(&certificate, &self.authority, &rules).await
    }

    /// The parameters of a URL that trusts this CA.
    fn trusting(authority: &Authority) -> Result<String> {
        let file = authority.file();
        Ok(format!("sslmode=verify-full&sslrootcert={}", text(&file)?))
    }

    /// The owner's URL, with a certificate of this name or its own one.
    fn owner_url(&self, name: &str, authority: Option<&Authority>) -> Result<String> {
        let own = format!("{}_owner", self.world.database());
        let name = if name.is_empty() { &own } else { name };
        let client = authority.unwrap_or(&self.authority).issue(name, &[], Validity::Now)?;
        let file = self.authority.file();
        let values = [
            (SERVER, self.owner.as_str()),
            (CA, text(&file)?),
            ("/etc/catalog-stream/writer.pem", text(&client.certificate)?),
            ("/etc/catalog-stream/writer.key", text(&client.key)?),
        ];
        Page::read(PAGE)?.exported("PostgreSQL: client certificates", "DATABASE_URL", &values)
    }

    /// The writer's URL as documented.
    fn documented_url(&self) -> Result<String> {
        let file = self.authority.file();
        let values = [(SERVER, self.writer.as_str()), (CA, text(&file)?)];
        Page::read(PAGE)?.exported("PostgreSQL: TLS", "DATABASE_URL", &values)
    }

    fn writer_url(&self, parameters: &str) -> String {
        format!("{}?{parameters}", self.writer)
    }

    /// A service and a doctor must end with this cause, and this next step.
    async fn fails(&self, url: &str, (cause, next): (&str, &str)) -> Result<()> {
        let service = self.world.member()?.env("DATABASE_URL", url).env("RUST_LOG", "trace").run();
        let doctor = self.world.follow("catalog-consumer doctor --json")?.env("DATABASE_URL", url).run();
        let (service, doctor) = tokio::try_join!(service, doctor)?;
        clean(&service);
        assert_eq!(service.code, Some(1), "{}", service.stderr);
        let error = service.error()?;
        assert!(error.contains(cause) && error.contains(next), "{cause}, {next}: {error}");
        clean(&doctor);
        let answer = doctor.summary()?;
        let mut checks = answer["checks"].as_array().context("a list")?.iter();
        let database = checks.find(|finding| finding["check"] == "database").context("a finding")?;
        assert_eq!(database["level"], "problem", "{database}");
        let (found, step) = (database["found"].to_string(), database["next"].to_string());
        assert!(found.contains(cause) && step.contains(next), "{cause}, {next}: {database}");
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
async fn the_consumer_works_over_tls_with_a_certificate_and_with_a_password() -> Result<()> {
    let scene = Scene::start().await?;
    let api = MockServer::start(Options::new(Synthetic::new(40, 3))).await?;
    scene.world.crawl(&api)?.succeed().await?;
    let url = scene.documented_url()?;
    let trace = |program: Program| program.env("DATABASE_URL", &url).env("RUST_LOG", "trace");
    let ended = trace(scene.world.plain_run()?.args(["--until-caught-up"])).succeed().await?;
    clean(&ended);
    assert_eq!(ended.summary()?["runs"][0]["state"], "balanced", "{}", ended.stdout);
    clean(&trace(scene.world.verify_topics()?).succeed().await?);
    clean(&trace(scene.world.rebuild()?).succeed().await?);
    clean(&trace(scene.world.follow("catalog-consumer doctor --json")?).run().await?);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_explained() -> Result<()> {
    let scene = Scene::start().await?;
    let url = scene.writer_url(&Scene::trusting(&scene.authority)?);
    for url in
        [&scene.writer_url(&Scene::trusting(&scene.stranger)?), &scene.writer_url("sslmode=verify-full")]
    {
        scene.fails(url, ("certificate is not valid", "set sslrootcert in DATABASE_URL")).await?;
    }
    let stranger = scene.owner_url("", Some(&scene.stranger))?;
    scene.fails(&stranger, ("SSL alert number", "set sslcert and sslkey")).await?;
    let mismatch = ("certificate authentication failed", "the common name of the certificate");
    scene.fails(&scene.owner_url("somebody", None)?, mismatch).await?;
    let none = format!("{}?{}", scene.owner, Scene::trusting(&scene.authority)?);
    scene.fails(&none, ("requires a valid client certificate", "set sslcert and sslkey")).await?;

    scene.serve("elsewhere", "db.elsewhere.example", Validity::Now).await?;
    scene.fails(&url, ("mismatch", "name the server in DATABASE_URL as its certificate does")).await?;
    scene.serve("expired", HERE, Validity::Past).await?;
    scene.fails(&url, ("certificate has expired", "renew the server's certificate")).await
}

#[tokio::test]
async fn a_login_or_a_protocol_that_is_not_accepted_is_explained() -> Result<()> {
    let scene = Scene::start().await?;
    let trusting = Scene::trusting(&scene.authority)?;
    let wrong = scene.writer_url(&trusting).replace(":user7Q@", ":wrong7Q@");
    assert_ne!(wrong, scene.writer_url(&trusting));
    scene.fails(&wrong, ("password authentication failed", "check user and password")).await?;
    scene.fails(&scene.writer_url("sslmode=disable"), ("no encryption", "set sslmode=verify-full")).await?;

    let without_tls = DatabaseServer::start().await?;
    let url = format!("{}?{trusting}", without_tls.url()?);
    scene.fails(&url, ("does not support TLS", "switch TLS on")).await
}

#[tokio::test]
async fn a_missing_file_is_refused_and_a_server_that_is_down_is_waited_for() -> Result<()> {
    let world = World::new().await?;
    for parameter in ["sslrootcert", "sslcert", "sslkey"] {
        // Nothing listens there.
        let url =
            format!("postgres://me:user7Q@127.0.0.1:1/catalog?sslmode=verify-full&{parameter}=/nothing.pem");
        let ended = world.member()?.env("DATABASE_URL", &url).run().await?;
        clean(&ended);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.error()?.contains(&format!("{parameter}=/nothing.pem")), "{}", ended.stderr);
    }
    let url = "postgres://me:user7Q@127.0.0.1:1/catalog?sslmode=verify-full";
    let mut waiting = world.member()?.env("DATABASE_URL", url).start()?;
    waiting.logged(events::DATABASE_UNREACHABLE).await?;
    waiting.terminate()?;
    clean(&waiting.ended().await?);
    Ok(())
}
