//! On a Kafka with an authorizer, the documented rights are enough, and a missing right is named in the error.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, Ended, Program, World};
use tokio::process::Command;

/// A broker whose users have passwords, and rights that the administrator grants.
pub(crate) const SETTINGS: &str = r#"
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin" user_admin="admin" user_catalog-producer="catalog-producer" user_catalog-consumer="catalog-consumer";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
"#;
/// The login of the administrator for Kafka's tools.
pub(crate) const ADMIN: &str = r#"
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin";
"#;

/// Makes a program log in as a user whose password equals the name.
fn login(program: Program, user: &str) -> Program {
    let options = format!(
        "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username={user}\nsasl.password={user}"
    );
    program.env("KAFKA_OPTIONS", &options)
}

/// Kafka's tool for ACLs, as the administrator.
struct Admin {
    brokers: String,
    config: PathBuf,
}

impl Admin {
    fn command(&self, program: &str) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut command = Command::new(root.join(program));
        command.env("KAFKA_ACLS", format!("{} kafka kafka-acls", root.join("dev/stack").display()));
        command
    }

    async fn grant_all(&self, world: &World) -> Result<()> {
        let mut command = self.command("deploy/grant-kafka-rights");
        command.arg(&self.brokers).args(["--prefix", &world.topic(""), "--group", world.group()]);
        succeed(command.arg("--command-config").arg(&self.config)).await
    }

    /// Removes all rights, as docs/how-to/delete-everything.md does, and returns those that are left.
    async fn remove_all(&self, world: &World) -> Result<String> {
        let mut command = self.command("deploy/grant-kafka-rights");
        command.arg(&self.brokers).args(["--prefix", &world.topic(""), "--group", world.group()]);
        succeed(command.arg("--command-config").arg(&self.config).arg("--remove")).await?;
        let mut command = self.command("dev/stack");
        command.args(["kafka", "kafka-acls", "--bootstrap-server", &self.brokers, "--command-config"]);
        let listed = command.arg(&self.config).arg("--list").output().await?;
        ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        Ok(String::from_utf8(listed.stdout)?.trim().to_owned())
    }

    /// Removes a right that was granted.
    async fn remove(
        &self,
        principal: &str,
        pattern: &str,
        operation: &str,
        resource: [&str; 2],
    ) -> Result<()> {
        let mut command = self.command("dev/stack");
        command.args(["kafka", "kafka-acls", "--bootstrap-server", &self.brokers, "--command-config"]);
        command.arg(&self.config).args(["--remove", "--force", "--allow-principal", principal]);
        command.args(["--resource-pattern-type", pattern, "--operation", operation]).args(resource);
        succeed(&mut command).await
    }
}

async fn succeed(command: &mut Command) -> Result<()> {
    let ended = command.output().await?;
    let (out, error) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    ensure!(ended.status.success(), "{out}{error}");
    Ok(())
}

#[track_caller]
fn assert_denied(ended: &Ended, right: &str) {
    let error = ended.stderr.lines().last().unwrap_or_default();
    assert!(ended.code == Some(1) && error.contains(right), "{right}:\n{}", ended.stderr);
    assert!(error.contains("docs/how-to/grant-kafka-rights.md"), "{error}");
}

/// Asserts that a doctor has a finding of this level, and that a problem names the script that grants the rights.
#[track_caller]
fn assert_found(ended: &Ended, check: &str, level: &str) -> Result<()> {
    let answer = ended.summary()?;
    let all = answer["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|finding| finding["check"] == check);
    assert!(found.is_some_and(|finding| finding["level"] == level), "{check}: {answer}");
    let next = found.map(|finding| finding["next"].to_string()).unwrap_or_default();
    assert!(level != "problem" || next.contains("deploy/grant-kafka-rights"), "{next}");
    Ok(())
}

#[tokio::test]
async fn the_rights_in_the_docs_are_enough_and_a_missing_one_is_named() -> Result<()> {
    let broker = Broker::start_with(SETTINGS).await?;
    let world = World::on(broker.address()?).await?;
    let api = MockServer::start(Options::new(Synthetic::new(100, 3))).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("admin.properties");
    std::fs::write(&config, ADMIN)?;
    let admin = Admin { brokers: broker.address()?, config };
    let crawl = || Ok::<_, anyhow::Error>(login(world.crawl(&api)?, "catalog-producer"));
    let consume = || Ok::<_, anyhow::Error>(login(world.consume()?, "catalog-consumer"));

    assert_denied(&crawl()?.run().await?, "CREATE");
    admin.grant_all(&world).await?;
    crawl()?.succeed().await?;
    let summary = consume()?.succeed().await?.summary()?;
    assert_eq!(summary["runs"][0]["state"], "balanced");
    login(world.status()?, "catalog-producer").succeed().await?;

    // The doctors of both programs need no other rights.
    let producers_doctor = || {
        let doctor = world.follow("catalog-producer doctor --region us --rate none --json")?;
        Ok::<_, anyhow::Error>(login(doctor, "catalog-producer").env("CATALOG_API_URL", &api.url()))
    };
    let consumers_doctor =
        || Ok::<_, anyhow::Error>(login(world.follow("catalog-consumer doctor --json")?, "catalog-consumer"));
    assert_found(&producers_doctor()?.succeed().await?, "transactions", "ok")?;
    let examined = consumers_doctor()?.succeed().await?;
    // It may not read the settings of topics.
    assert_found(&examined, "topics", "skipped")?;
    assert_found(&examined, "topic_rights", "ok")?;
    login(world.check(&[])?, "catalog-consumer").succeed().await?;

    let prefix = world.topic("");
    let producer = "User:catalog-producer";
    admin.remove(producer, "prefixed", "DescribeConfigs", ["--topic", &prefix]).await?;
    assert_denied(&crawl()?.run().await?, "DESCRIBE_CONFIGS");
    admin.grant_all(&world).await?;
    let id = format!("{prefix}producer.");
    admin.remove(producer, "prefixed", "Write", ["--transactional-id", &id]).await?;
    assert_denied(&crawl()?.run().await?, "WRITE and DESCRIBE on the transactional id");
    assert_found(&producers_doctor()?.run().await?, "transactions", "problem")?;
    admin.remove("User:catalog-consumer", "prefixed", "Read", ["--topic", &prefix]).await?;
    assert_found(&consumers_doctor()?.run().await?, "topic_rights", "problem")?;
    admin.grant_all(&world).await?;
    admin.remove("User:catalog-consumer", "literal", "Read", ["--group", world.group()]).await?;
    // Without --until-caught-up, because a consumer that has nothing to do ends before it joins.
    let member = login(world.member()?, "catalog-consumer");
    assert_denied(&member.run().await?, "READ on the consumer group");

    admin.grant_all(&world).await?;
    assert_eq!(admin.remove_all(&world).await?, "");
    Ok(())
}
