//! The rights and the state that a producer needs in Kafka.

use std::time::Duration;

use catalog_shared::cursor::{Cursor, RunState};
use catalog_shared::cursor_reader::{self, UnreadableCursor};
use catalog_shared::doctor::Finding;
use catalog_shared::kafka::{self, KafkaArgs};
use catalog_shared::kafka_doctor::{failed, grant_topics, reached, show_cursor};
use catalog_shared::record::SCHEMA;
use catalog_shared::region::Region;
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
    let grant = grant_topics(&kafka);
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
    let cursor = match cursor_reader::read_if_exists(&kafka, &kafka.topics(), region).await {
        Ok(cursor) => cursor,
        Err(error) => return Ok(vec![unread(error, &kafka)]),
    };
    Ok(vec![state(region, cursor.as_ref())])
}

/// The cursor can't be read.
fn unread(error: anyhow::Error, kafka: &KafkaArgs) -> Finding {
    match error.downcast_ref::<UnreadableCursor>() {
        Some(record) => Finding::problem(CURSOR, format!("{error:#}"), show_cursor(kafka, record)),
        None => failed(CURSOR, error, kafka, grant_topics(kafka)),
    }
}

/// What the cursor says.
fn state(region: Region, cursor: Option<&Cursor>) -> Finding {
    let found = match cursor {
        None => format!("the region {region} has not been crawled yet"),
        Some(cursor) if cursor.schema > SCHEMA => {
            let found = format!(
                "the cursor of {region} has schema {}, and this build reads schemas up to {SCHEMA}",
                cursor.schema
            );
            return Finding::problem(CURSOR, found, "catalog-producer --version  # install the newer build");
        }
        Some(cursor) if cursor.state == RunState::Crawling => {
            format!("run {} of {region} is not finished; a crawl continues it", cursor.run)
        }
        Some(cursor) => format!("run {} of {region} is the last one", cursor.run),
    };
    Finding::ok(CURSOR, found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::doctor::Level;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;
    use crate::config::crawl::tests::parse;
    use crate::run::lifecycle::new_cursor;
    use crate::run::request::CrawlRequest;

    #[test]
    fn a_cursor_of_a_newer_build_is_a_problem_before_a_crawl_meets_it() {
        let request = CrawlRequest::new(&parse(&[]), &"http://127.0.0.1/".parse().unwrap()).unwrap();
        let cursor = new_cursor(Region::Us, request.parameters, 3, &BTreeMap::new());
        assert_eq!(state(Region::Us, Some(&cursor)).level, Level::Ok);
        let newer = state(Region::Us, Some(&Cursor { schema: SCHEMA + 1, ..cursor }));
        assert_eq!(newer.level, Level::Problem);
        assert!(newer.next.is_some_and(|next| next.starts_with("catalog-producer --version  #")));
    }

    #[test]
    fn only_a_missing_permission_on_the_cursors_leads_to_the_script_that_grants_it() {
        let kafka = parse(&[]).kafka;
        let next = |code| unread(KafkaError::MessageConsumption(code).into(), &kafka).next.unwrap();
        assert!(next(RDKafkaErrorCode::TopicAuthorizationFailed).starts_with("deploy/grant-kafka-rights "));
        assert!(next(RDKafkaErrorCode::OperationTimedOut).starts_with("curl "));
    }
}
