//! Moving tables to other topics: the checks, and the new binding.

use anyhow::Context;
use catalog_shared::exit::Stop;
use sqlx::PgConnection;

use super::bound::{Bound, read};
use crate::model::source::Source;

/// Checks that the target of a move differs from the topics that the tables belong to. Returns the current cluster, if
/// it is known.
///
/// # Errors
/// [`Stop::Guard`] if it does not, or the error of the database.
pub(crate) async fn check_move(
    connection: &mut PgConnection,
    source: &Source,
) -> anyhow::Result<Option<String>> {
    let bound = read(connection).await?;
    bound.check_leaves(source)?;
    Ok(bound.cluster_id)
}

/// Checks that a topic differs from the one that the tables were filled from. Returns the cluster as [`check_move`] does.
///
/// # Errors
/// [`Stop::Guard`] if it is the same one, or the tables belong to another prefix or cluster; or the error of the database.
pub(crate) async fn check_topic(
    connection: &mut PgConnection,
    source: &Source,
    topic: &str,
) -> anyhow::Result<Option<String>> {
    let bound = read(connection).await?;
    bound.check_prefix(&source.prefix)?;
    bound.check_cluster(source)?;
    bound.check_is_new(source, topic)?;
    Ok(bound.cluster_id)
}

/// Replaces the binding of the tables: prefix and cluster if `everything` is set, and the topics that have no id yet.
///
/// # Errors
/// The error of the database.
pub(crate) async fn rebind(tx: &mut PgConnection, source: &Source, everything: bool) -> anyhow::Result<()> {
    if everything {
        sqlx::query(include_str!("../../../sql/binding/rebind_tables.sql"))
            .bind(&source.prefix)
            .bind(&source.cluster)
            .execute(&mut *tx)
            .await
            .context("can't bind the tables to their topics")?;
    }
    let (topics, ids): (Vec<_>, Vec<_>) = source.topics.iter().unzip();
    sqlx::query(include_str!("../../../sql/binding/bind_topics.sql"))
        .bind(&topics)
        .bind(&ids)
        .execute(tx)
        .await
        .context("can't bind the positions to their topics")?;
    Ok(())
}

impl Bound {
    fn check_leaves(&self, source: &Source) -> Result<(), Stop> {
        let same_prefix = self.topic_prefix.as_ref() == Some(&source.prefix);
        let same_cluster = self.cluster_id.is_some() && self.cluster_id == source.cluster;
        if !same_prefix || !same_cluster {
            return Ok(());
        }
        let Self { schema, .. } = self;
        let Source { brokers, prefix, .. } = source;
        Err(Stop::Guard(format!(
            "the tables of the schema {schema} belong to the topics {prefix:?}… on {brokers} already, so there is nothing to \
             move. To move to another cluster, name its brokers with --brokers (KAFKA_BROKERS). To continue with a topic that was \
             deleted and recreated: `catalog-consumer move --topic NAME`. To continue as before: `catalog-consumer run`"
        )))
    }

    fn check_is_new(&self, source: &Source, topic: &str) -> Result<(), Stop> {
        let found = source.topics.get(topic);
        if !self.topics.iter().any(|(name, bound)| name == topic && Some(bound) == found) {
            return Ok(());
        }
        let Self { schema, .. } = self;
        Err(Stop::Guard(format!(
            "{topic} is the topic that the tables of the schema {schema} were filled from, so there is nothing to move. To \
             apply it again, reset the offsets of the group with Kafka's tools. To continue as before: `catalog-consumer run`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn source(cluster: Option<&str>) -> Source {
        Source {
            brokers: "broker:9092".into(),
            prefix: "socrata.".into(),
            cluster: cluster.map(str::to_owned),
            topics: BTreeMap::from([("socrata.hosts".into(), "t1".into())]),
        }
    }

    #[test]
    fn tables_are_moved_to_other_topics_only() {
        let topics = vec![("socrata.hosts".to_owned(), "t1".to_owned())];
        let (topic_prefix, cluster_id) = (Some("socrata.".to_owned()), Some("c1".to_owned()));
        let bound = Bound { topic_prefix, cluster_id, schema: "catalog".into(), topics };
        assert!(bound.check_leaves(&source(Some("c1"))).is_err());
        assert!(bound.check_leaves(&source(Some("c2"))).is_ok() && bound.check_leaves(&source(None)).is_ok());
        let prefix = Source { prefix: "other.".into(), ..source(Some("c1")) };
        assert!(bound.check_leaves(&prefix).is_ok());
        assert!(Bound::default().check_leaves(&source(None)).is_ok());

        assert!(bound.check_is_new(&source(Some("c1")), "socrata.hosts").is_err());
        let again = BTreeMap::from([("socrata.hosts".into(), "t2".into())]);
        assert!(bound.check_is_new(&Source { topics: again, ..source(None) }, "socrata.hosts").is_ok());
        assert!(Bound::default().check_is_new(&source(None), "socrata.hosts").is_ok());
    }
}
