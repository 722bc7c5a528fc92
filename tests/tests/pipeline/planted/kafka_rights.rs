//! Missing rights in Kafka.

use anyhow::{Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Broker, Operator, World};

use super::find;
use crate::kafka_rights::{ADMIN, SETTINGS};

/// Makes the programs log in as a user whose password equals the name.
fn login<'a>(operator: Operator<'a>, user: &str) -> Operator<'a> {
    let options = format!(
        "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username={user}\nsasl.password={user}"
    );
    operator.env("KAFKA_OPTIONS", &options)
}

/// The administrator's tool for rights logs in by itself.
fn administrator(world: &World) -> Result<Operator<'_>> {
    let operator = world.operator()?;
    let config = operator.folder().join("admin.properties");
    std::fs::write(&config, ADMIN)?;
    let stack = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/stack");
    let acls = format!("{stack} kafka kafka-acls --command-config {}", config.display());
    Ok(operator.env("KAFKA_ACLS", &acls))
}

async fn succeed(operator: &Operator<'_>, line: &str) -> Result<()> {
    let ended = operator.run(line).await?;
    ensure!(ended.code == Some(0), "{line}\n{}{}", ended.stdout, ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_right_in_kafka_that_is_missing() -> Result<()> {
    let broker = Broker::start_with(SETTINGS).await?;
    let world = World::on(broker.address()?).await?;
    let api = MockServer::start(Options::new(Synthetic::new(50, 2))).await?;
    let operator = administrator(&world)?.env("CATALOG_API_URL", &api.url()).env("CATALOG_PARTITIONS", "2");
    let producer = login(operator, "catalog-producer");
    let found = find(&producer, "catalog-producer doctor --region us", "transactions", "problem").await?;
    let granted = producer.next(&found).await?;
    assert_eq!(granted.code, Some(0), "{}{}", granted.stdout, granted.stderr);
    find(&producer, "catalog-producer doctor --region us", "transactions", "ok").await?;
    succeed(&producer, "catalog-producer crawl --region us").await?;

    let consumer = login(producer, "catalog-consumer");
    let remove = format!(
        "$KAFKA_ACLS --bootstrap-server \"$KAFKA_BROKERS\" --remove --force --allow-principal User:catalog-consumer \
         --operation Read --topic {}",
        world.topic("hosts")
    );
    succeed(&consumer, &remove).await?;
    let found = find(&consumer, "catalog-consumer doctor", "topic_rights", "problem").await?;
    let granted = consumer.next(&found).await?;
    assert_eq!(granted.code, Some(0), "{}{}", granted.stdout, granted.stderr);
    find(&consumer, "catalog-consumer doctor", "topic_rights", "ok").await.map(drop)
}
