//! Whether the tables, the topics and the group belong together.

use catalog_shared::doctor::{Finding, shell_word};
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::kafka_doctor::{failed, grant_group, reached};
use sqlx::PgConnection;

use super::MISSING_TOPIC;
use crate::config::DatabaseArgs;
use crate::kafka::data_partitions::NoTopic;
use crate::kafka::detached_reader::DetachedReader;
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::offsets;
use crate::model::copy_id::CopyId;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::{copy_id, database, positions};
use crate::sync::source_check;

const CHECK: &str = "tables_and_topics";
/// The next command for another guard than that of recreated topics.
const GUARD: &str =
    "catalog-consumer move --help  # or correct the setting; docs/reference/failures.md has all cases";

/// Whether the tables were filled from these topics, the positions are within them, and the group belongs to these tables.
pub(super) async fn examine(
    database: &DatabaseArgs,
    kafka: &KafkaArgs,
    group: &str,
) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(kafka, CHECK).await {
        return Ok(vec![skipped]);
    }
    let Ok(mut connection) = database::connect_migrated(database, 1).await else {
        return Ok(vec![Finding::skipped(CHECK, "the tables can't be used")]);
    };
    match compare(&mut connection, kafka, group).await {
        Ok(finding) => Ok(vec![finding]),
        Err(error) => {
            let recreated = source_check::recreated(&mut connection, kafka).await.unwrap_or_default();
            refused(error, kafka, group, &recreated)
        }
    }
}

/// Compares the tables with the topics and the group.
///
/// # Errors
/// [`Stop::Guard`] if they don't belong together; an error of the database or Kafka.
async fn compare(connection: &mut PgConnection, kafka: &KafkaArgs, group: &str) -> anyhow::Result<Finding> {
    source_check::check_now(connection, kafka).await?;
    let names = TopicKind::ALL.map(|kind| kind.topic(&kafka.topics()));
    let positions = positions::read(&mut *connection, &names).await?;
    if positions.is_empty() {
        return Ok(Finding::ok(CHECK, "the tables are empty: no consumer has read the topics yet"));
    }
    EndOffsets::measure(kafka).await?.check(&positions)?;
    let own = copy_id::read(connection).await?;
    Ok(owner(&own, owner_metadata(kafka, group).await?.as_deref(), group))
}

/// The finding of an error that is not the database's: a guard's refusal, a missing topic, or an error of Kafka.
///
/// # Errors
/// The error of the database.
fn refused(
    error: anyhow::Error,
    kafka: &KafkaArgs,
    group: &str,
    recreated: &[String],
) -> anyhow::Result<Vec<Finding>> {
    let finding = if let Some(stop) = error.downcast_ref::<Stop>() {
        let next = recreated.first().map_or_else(|| GUARD.to_owned(), |topic| continue_with(topic));
        Finding::problem(CHECK, stop.to_string(), next)
    } else if error.is::<NoTopic>() {
        Finding::skipped(CHECK, MISSING_TOPIC)
    } else if error.chain().any(|cause| cause.is::<sqlx::Error>()) {
        return Err(error);
    } else {
        failed(CHECK, error, kafka, grant_group(kafka, group))
    };
    Ok(vec![finding])
}

fn continue_with(topic: &str) -> String {
    format!("catalog-consumer move --topic {topic}  # after all consumers of the group have stopped")
}

/// The metadata of the copy that owns the group.
async fn owner_metadata(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Option<String>> {
    let first = TopicPartition::first_of_datasets(&kafka.topics());
    let reader = DetachedReader::open(kafka, group)?;
    offsets::owner_metadata(reader.get(), &first).await
}

fn owner(own: &CopyId, owner_metadata: Option<&str>, group: &str) -> Finding {
    match owner_metadata.and_then(CopyId::parse) {
        Some(owner) if !owner.is_same(own) => Finding::warning(
            CHECK,
            format!(
                "the group {group} belongs to another copy of the tables, in the schema {}",
                owner.schema
            ),
            format!(
                "catalog-consumer run --group {}  # another group (docs/how-to/keep-two-copies.md)",
                shell_word(&format!("{group}-2"))
            ),
        ),
        _ => Finding::ok(CHECK, "the tables, the topics and the group belong together"),
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::Level;
    use catalog_shared::kafka_doctor::check_brokers;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;
    use crate::model::copy_id::tests::copy;

    #[test]
    fn a_group_of_another_copy_is_a_warning() {
        let own = copy("a", None);
        let level = |owner_metadata: Option<&str>| owner(&own, owner_metadata, "g").level;
        assert_eq!(level(Some(&copy("b", None).to_string())), Level::Warning);
        assert_eq!([level(Some(&own.to_string())), level(Some("")), level(None)], [Level::Ok; 3]);
    }

    #[test]
    fn an_error_of_kafka_does_not_name_the_database() {
        let (brokers, topic_prefix) = ("k:9092".to_owned(), "p.".to_owned());
        let kafka = KafkaArgs { brokers, topic_prefix, options: Vec::new() };
        let refused = |error: anyhow::Error| refused(error, &kafka, "g", &[]);
        let timeout = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        let found = refused(anyhow::Error::from(timeout).context("can't list topics")).unwrap();
        assert_eq!(found[0].next.as_deref(), Some(&*check_brokers(&kafka)));
        assert!(found[0].found.contains("OperationTimedOut"), "{found:?}");
        let denied = KafkaError::GroupListFetch(RDKafkaErrorCode::GroupAuthorizationFailed);
        let next = refused(denied.into()).unwrap()[0].next.clone();
        assert!(next.is_some_and(|next| next.contains("deploy/grant-kafka-rights k:9092")));
        assert!(refused(sqlx::Error::PoolTimedOut.into()).is_err());
    }
}
