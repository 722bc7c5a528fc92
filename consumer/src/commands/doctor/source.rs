//! Whether the tables, the topics and the group belong together.

use std::sync::Arc;

use catalog_shared::doctor::Finding;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::kafka_doctor::reached;
use catalog_shared::record::RecordType;

use crate::commands::detached_reader::DetachedReader;
use crate::config::DatabaseArgs;
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::offsets;
use crate::model::copy_id::CopyId;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::{copy_id, database, positions};
use crate::sync::source_check;

const CHECK: &str = "tables_and_topics";
const GUARD: &str = "catalog-consumer move --help, or docs/reference/failures.md";

/// Whether the tables were filled from these topics, the positions lie within them, and the group belongs to these tables.
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
    if let Err(error) = source_check::check_now(&mut connection, kafka).await {
        return refused(error);
    }
    let names = TopicKind::ALL.map(|kind| kind.topic(&kafka.topics()));
    let positions = positions::read(&mut connection, &names).await?;
    if positions.is_empty() {
        return Ok(vec![Finding::ok(CHECK, "the tables are empty: no consumer has read the topics yet")]);
    }
    let Ok(ends) = EndOffsets::measure(kafka).await else {
        return Ok(vec![Finding::skipped(CHECK, "a topic is missing, or hidden from this user")]);
    };
    if let Err(error) = ends.check(&positions) {
        return refused(error.into());
    }
    let own = copy_id::read(&mut connection).await?;
    Ok(vec![owner(&own, note(kafka, group).await?.as_deref(), group)])
}

/// A guard's refusal is a finding.
fn refused(error: anyhow::Error) -> anyhow::Result<Vec<Finding>> {
    match error.downcast_ref::<Stop>() {
        Some(stop) => Ok(vec![Finding::problem(CHECK, stop.to_string(), GUARD)]),
        None => Err(error),
    }
}

/// The note of the copy that owns the group.
async fn note(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Option<String>> {
    let kind = TopicKind::Data(RecordType::Datasets);
    let first = TopicPartition { kind, topic: kind.topic(&kafka.topics()), partition: 0 };
    let reader = DetachedReader::open(kafka, group)?;
    let reader: Arc<_> = reader.get()?;
    offsets::note(&reader, &first).await
}

fn owner(own: &CopyId, note: Option<&str>, group: &str) -> Finding {
    match note.and_then(CopyId::parse) {
        Some(owner) if !owner.is_same(own) => Finding::warning(
            CHECK,
            format!(
                "the group {group} belongs to another copy of the tables, in the schema {}",
                owner.schema
            ),
            "docs/how-to/keep-two-copies.md; --group (CATALOG_GROUP) names another group",
        ),
        _ => Finding::ok(CHECK, "the tables, the topics and the group belong together"),
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::Level;

    use super::*;
    use crate::model::copy_id::tests::copy;

    #[test]
    fn a_group_of_another_copy_is_a_warning() {
        let own = copy("a", None);
        let level = |note: Option<&str>| owner(&own, note, "g").level;
        assert_eq!(level(Some(&copy("b", None).to_string())), Level::Warning);
        assert_eq!([level(Some(&own.to_string())), level(Some("")), level(None)], [Level::Ok; 3]);
    }
}
