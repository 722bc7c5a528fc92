//! A wrong password and missing rights.

use anyhow::Result;
use catalog_tests::world::{Broker, DatabaseServer, World};

use super::{Fault, find};

#[tokio::test]
async fn wrong_password() -> Result<()> {
    let server = DatabaseServer::start().await?;
    let world = World::on_server(&server).await?;
    let url = world.login("right7Q").await?;
    server.require_password(world.database()).await?;
    let fault = Fault::named("wrong password")?;
    let wrong = world.operator()?.database(&url.replacen("right7Q", "wrong7Q", 1));
    let found = fault.find(&wrong, world.database()).await?;
    assert!(!found.to_string().contains("7Q"), "{found}");
    let refused = wrong.next(&found).await?;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("password authentication failed"), "{}", refused.stderr);

    // With the right one, both the next command and the doctor succeed.
    let right = world.operator()?.database(&url);
    assert_eq!(right.next(&found).await?.code, Some(0));
    fault.is_over(&right).await
}

const SASL: &str = r#"
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin" user_admin="admin" user_me="right7Q";
"#;

/// The same login for librdkafka and for Kafka's tools.
fn login(password: &str) -> (String, String) {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    (
        format!(
            "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username=me\nsasl.password={password}"
        ),
        format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={module} required username=\"me\" \
             password=\"{password}\";\n"
        ),
    )
}

#[tokio::test]
async fn wrong_password_for_kafka() -> Result<()> {
    let broker = Broker::start_with(SASL).await?;
    let world = World::on(broker.address()?).await?;
    let (options, properties) = login("wrong7Q");
    let wrong = world.operator()?.env("KAFKA_OPTIONS", &options);
    std::fs::write(wrong.folder().join("client.properties"), properties)?;
    let found = find(&wrong, "catalog-consumer doctor", "brokers", "problem").await?;
    assert!(!found.to_string().contains("7Q"), "{found}");
    let refused = wrong.next(&found).await?;
    assert_ne!(refused.code, Some(0), "{}", refused.stdout);

    let (options, properties) = login("right7Q");
    let right = world.operator()?.env("KAFKA_OPTIONS", &options);
    std::fs::write(right.folder().join("client.properties"), properties)?;
    let shown = right.next(&found).await?;
    assert!(shown.code == Some(0) && shown.stdout.contains("(id: 1"), "{}{}", shown.stdout, shown.stderr);
    find(&right, "catalog-consumer doctor", "brokers", "ok").await.map(drop)
}

#[tokio::test]
async fn wrong_right() -> Result<()> {
    let server = DatabaseServer::start().await?;
    let world = World::on_server(&server).await?;
    world.migrate().await?;
    let url = world.user("_reader", "").await?;
    let reader = format!("{}_reader", world.database());
    let read = format!(
        "grant usage on schema catalog to {reader}; grant select on all tables in schema catalog to {reader}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(read)).execute(world.pool()).await?;
    let operator = world.operator()?.database(&url);
    let fault = Fault::named("wrong right")?;
    let found = fault.find(&operator, "positions (delete, insert, update)").await?;
    let granted = operator.next(&found).await?;
    assert_eq!(granted.code, Some(0), "{}{}", granted.stdout, granted.stderr);
    fault.is_over(&operator).await
}

#[tokio::test]
async fn a_schema_that_the_user_may_not_use() -> Result<()> {
    let server = DatabaseServer::start().await?;
    let world = World::on_server(&server).await?;
    world.migrate().await?;
    let operator = world.operator()?.database(&world.user("_reader", "").await?);
    let found = find(&operator, "catalog-consumer doctor", "schema", "problem").await?;
    let granted = operator.next(&found).await?;
    assert_eq!(granted.code, Some(0), "{}{}", granted.stdout, granted.stderr);
    find(&operator, "catalog-consumer doctor", "schema", "ok").await?;
    find(&operator, "catalog-consumer doctor", "database_rights", "ok").await.map(drop)
}
