//! The rights and the state that a producer needs in Kafka.

use std::time::Duration;

use catalog_shared::cursor::RunState;
use catalog_shared::cursors;
use catalog_shared::doctor::Finding;
use catalog_shared::kafka::{self, KafkaArgs};
use catalog_shared::kafka_doctor::{failed, reached};
use catalog_shared::region::Region;
use catalog_shared::rights;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use tokio::task::spawn_blocking;

const TRANSACTIONS: &str = "transactions";
const CURSOR: &str = "cursor";

/// Whether this user may open a transactional producer. It uses an id of its own, because the id of a region would fence the
/// producer that is crawling it.
pub(super) async fn transactions(kafka: KafkaArgs, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, TRANSACTIONS).await {
        return Ok(vec![skipped]);
    }
    let id = format!("{}producer.doctor", kafka.topic_prefix);
    let config = kafka.client_config(&[("transactional.id", &id), ("enable.idempotence", "true")])?;
    let grant = format!("deploy/grant-kafka-rights {} --prefix {}", kafka.brokers, kafka.topic_prefix);
    let open = move || -> anyhow::Result<()> {
        let client: BaseProducer<DefaultProducerContext> = kafka::create(&config, DefaultProducerContext)?;
        Ok(client.init_transactions(limit)?)
    };
    let opened = spawn_blocking(open).await?;
    Ok(vec![match opened {
        Ok(()) => Finding::ok(TRANSACTIONS, format!("this user may use transactional ids such as {id}")),
        Err(error) => {
            failed(TRANSACTIONS, error.context(format!("the transactional id {id}")), &kafka, grant)
        }
    }])
}

/// The cursor of the region.
pub(super) async fn cursor(kafka: KafkaArgs, region: Region) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, CURSOR).await {
        return Ok(vec![skipped]);
    }
    let cursor = match rights::named(cursors::read_if_exists(&kafka, &kafka.topics(), region).await) {
        Ok(cursor) => cursor,
        Err(error) => {
            let next = format!("catalog-producer status --region {region}");
            return Ok(vec![Finding::problem(CURSOR, format!("{error:#}"), next)]);
        }
    };
    let found = match cursor {
        None => format!("the region {region} has not been crawled yet"),
        Some(cursor) if cursor.state == RunState::Crawling => {
            format!("run {} of {region} is not finished; a crawl continues it", cursor.run)
        }
        Some(cursor) => format!("run {} of {region} is the last one", cursor.run),
    };
    Ok(vec![Finding::ok(CURSOR, found)])
}
