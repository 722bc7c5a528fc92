//! On a Kafka with an authorizer, the documented rights are enough, and a missing right is named in the error.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Access, Broker, Ended, Program, World};
use tokio::process::Command;

/// A broker whose users have passwords, and rights that the administrator grants.
pub(crate) const SETTINGS: &str = r#"
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin" user_admin="admin" user_catalog-producer="catalog-producer" user_catalog-consumer="catalog-consumer" user_catalog-mover="catalog-mover";
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

    /// Runs the script for this world, with more flags.
    async fn grant_all(&self, world: &World, flags: &[&str]) -> Result<()> {
        let mut command = self.command("deploy/grant-kafka-rights");
        command.arg(&self.brokers).args(["--prefix", &world.topic(""), "--group", world.group()]);
        succeed(command.arg("--command-config").arg(&self.config).args(flags)).await
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

    /// Grants (`--add`) or removes (`--remove`) some rights.
    async fn change(
        &self,
        action: &str,
        (user, pattern): (&str, &str),
        operations: &[&str],
        resource: [&str; 2],
    ) -> Result<()> {
        let mut command = self.command("dev/stack");
        command.args(["kafka", "kafka-acls", "--bootstrap-server", &self.brokers, "--command-config"]);
        command.arg(&self.config).args([action, "--force", "--allow-principal", &format!("User:{user}")]);
        command.args(["--resource-pattern-type", pattern]).args(resource);
        for operation in operations {
            command.args(["--operation", operation]);
        }
        succeed(&mut command).await
    }

    /// Does something without the right of a user to a topic.
    async fn without<T>(
        &self,
        user: &str,
        operation: &str,
        topic: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (user, operation, resource) = ((user, "literal"), [operation], ["--topic", topic]);
        self.change("--remove", user, &operation, resource).await?;
        let done = work.await;
        self.change("--add", user, &operation, resource).await?;
        done
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
    admin.grant_all(&world, &[]).await?;
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
    assert_found(&examined, "group_rights", "ok")?;
    login(world.check(&[])?, "catalog-consumer").succeed().await?;

    let (producer, consumer) = ("catalog-producer", "catalog-consumer");
    for (operation, topic, right) in
        [("DescribeConfigs", "verdicts", "DESCRIBE_CONFIGS"), ("Read", "cursors", "a permission on a topic")]
    {
        let ended = admin.without(producer, operation, &world.topic(topic), crawl()?.run()).await?;
        assert_denied(&ended, right);
    }
    let cursors = world.topic("cursors");
    let ended = admin.without(producer, "Read", &cursors, producers_doctor()?.run()).await?;
    assert_found(&ended, "cursor", "problem")?;
    let domains = world.topic("domains");
    let ended = admin.without(producer, "Write", &domains, crawl()?.run()).await?;
    assert_denied(&ended, "WRITE on a topic");
    assert_denied(&ended, &domains);
    let id = world.topic("producer.");
    admin.change("--remove", (producer, "prefixed"), &["Write"], ["--transactional-id", &id]).await?;
    assert_denied(&crawl()?.run().await?, "WRITE and DESCRIBE on the transactional id");
    assert_found(&producers_doctor()?.run().await?, "transactions", "problem")?;
    for topic in ["hosts", "verdicts"] {
        let ended = admin.without(consumer, "Read", &world.topic(topic), consumers_doctor()?.run()).await?;
        assert_found(&ended, "topic_rights", "problem")?;
    }
    // Without the decisions nothing may be applied, and no retry gives the right.
    let verdicts = world.topic("verdicts");
    assert_denied(&admin.without(consumer, "Read", &verdicts, consume()?.run()).await?, "verdicts");
    admin.change("--remove", (consumer, "literal"), &["Read"], ["--group", world.group()]).await?;
    assert_found(&consumers_doctor()?.run().await?, "group_rights", "problem")?;
    // Without --until-caught-up, because a consumer that has nothing to do ends before it joins.
    let member = login(world.member()?, "catalog-consumer");
    assert_denied(&member.run().await?, "READ on the consumer group");

    // Without any right on the group, the doctor can't even ask for its coordinator.
    admin.change("--remove", (consumer, "literal"), &["Describe"], ["--group", world.group()]).await?;
    assert_found(&consumers_doctor()?.run().await?, "group_rights", "problem")?;

    admin.grant_all(&world, &[]).await?;
    assert_eq!(admin.remove_all(&world).await?, "");
    Ok(())
}

/// What a user may do with the topics. A reader looks up a group, although it does not join it.
async fn access(world: &World, user: &str, group: &str) -> Result<Access> {
    let options = [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN"), ("group.id", group)];
    world.access(&[&options[..], &[("sasl.username", user), ("sasl.password", user)]].concat()).await
}

/// Interrupts a crawl after some pages, and continues it, which reads the hosts that it has published.
async fn crawl_in_two_parts(crawl: impl Fn() -> Result<Program>, api: &MockServer) -> Result<()> {
    let mut gate = api.hold(Matcher::pages().nth(2));
    let mut interrupted = crawl()?.args(["--concurrency", "1"]).start()?;
    interrupted.reaches(gate.arrived()).await?;
    interrupted.terminate()?;
    assert_eq!(interrupted.ended().await?.code, Some(143));
    gate.release();
    let continued = crawl()?.succeed().await?.summary()?;
    assert_eq!((&continued["run"], &continued["whole"]), (&1.into(), &true.into()));
    Ok(())
}

#[tokio::test]
async fn each_user_may_read_and_write_only_the_topics_of_its_program() -> Result<()> {
    let broker = Broker::start_with(SETTINGS).await?;
    let mut world = World::on(broker.address()?).await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 3))).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("admin.properties");
    std::fs::write(&config, ADMIN)?;
    let admin = Admin { brokers: broker.address()?, config };
    // The script takes away what its earlier versions granted.
    let earlier = ["Create", "Describe", "DescribeConfigs", "Read", "Write"];
    for user in ["catalog-producer", "catalog-consumer"] {
        admin.change("--add", (user, "prefixed"), &earlier, ["--topic", &world.topic("")]).await?;
    }
    admin.grant_all(&world, &[]).await?;
    crawl_in_two_parts(|| Ok(login(world.crawl(&api)?, "catalog-producer")), &api).await?;
    login(world.consume()?, "catalog-consumer").succeed().await?;

    // The mover has the rights of both on the topics under another prefix, which it creates.
    let old = world.topic("");
    world.use_prefix(&format!("{old}moved."));
    admin.grant_all(&world, &["--mover", "User:catalog-mover"]).await?;
    login(world.move_tables(&[])?, "catalog-mover").succeed().await?;
    login(world.crawl(&api)?, "catalog-producer").succeed().await?;
    login(world.consume()?, "catalog-consumer").succeed().await?;

    let producer = Access {
        read: vec!["hosts", "cursors"],
        written: vec!["datasets", "domains", "hosts", "agencies", "cursors", "dead-letters"],
    };
    assert_eq!(access(&world, "catalog-producer", "catalog-producer").await?, producer);
    let consumer = Access {
        read: vec!["datasets", "domains", "hosts", "agencies", "verdicts", "dead-letters"],
        written: vec!["verdicts"],
    };
    assert_eq!(access(&world, "catalog-consumer", "catalog-consumer-check").await?, consumer);
    Ok(())
}
