//! Refuses sources that would mix with the tables. The messages name the binding, and the ways to continue.

use catalog_shared::exit::Stop;

use super::bound::Bound;
use crate::model::source::Source;

impl Bound {
    /// # Errors
    /// [`Stop::Guard`] for the first difference from the binding of the tables.
    pub(super) fn check(&self, source: &Source) -> Result<(), Stop> {
        self.check_prefix(&source.prefix)?;
        self.check_cluster(source)?;
        self.check_topics(source)
    }

    pub(super) fn check_prefix(&self, prefix: &str) -> Result<(), Stop> {
        let Some(bound) = self.topic_prefix.as_deref().filter(|bound| *bound != prefix) else {
            return Ok(());
        };
        let schema = &self.schema;
        Err(Stop::Guard(format!(
            "the tables of the schema {schema} belong to the topics {bound:?}…, and this command reads the topics \
             {prefix:?}…. Nothing was applied. To continue with these tables: --topic-prefix {bound:?}. To fill other tables \
             from these topics: {ANOTHER_COPY}"
        )))
    }

    pub(super) fn check_cluster(&self, source: &Source) -> Result<(), Stop> {
        let (Some(bound), Some(found)) = (&self.cluster_id, &source.cluster) else { return Ok(()) };
        if bound == found {
            return Ok(());
        }
        let (schema, brokers) = (&self.schema, &source.brokers);
        Err(Stop::Guard(format!(
            "the tables of the schema {schema} belong to the Kafka cluster {bound}, and {brokers} is the cluster {found}. \
             Nothing was applied. To continue with the cluster {bound}: name its brokers with --brokers (KAFKA_BROKERS). To move \
             these tables to the cluster {found}: `catalog-consumer move`. To fill other tables from it: {ANOTHER_COPY}"
        )))
    }

    /// The topics whose id differs from the binding: the name, the bound id, and the present one.
    pub(super) fn recreated<'a>(
        &'a self,
        source: &'a Source,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        self.topics.iter().filter_map(|(topic, bound)| {
            let found = source.topics.get(topic).filter(|found| *found != bound)?;
            Some((topic.as_str(), bound.as_str(), found.as_str()))
        })
    }

    fn check_topics(&self, source: &Source) -> Result<(), Stop> {
        let differs = |(topic, bound, found): (&str, &str, &str)| {
            format!("{topic} (its id was {bound} and is {found})")
        };
        let recreated: Vec<String> = self.recreated(source).map(differs).collect();
        if recreated.is_empty() {
            return Ok(());
        }
        let (schema, recreated) = (&self.schema, recreated.join(", "));
        Err(Stop::Guard(format!(
            "topics were deleted and recreated after the tables of the schema {schema} were filled from them: {recreated}. \
             Nothing was applied from the new ones. To continue with the new ones and these tables: `catalog-consumer move --topic \
             NAME`. To fill other tables from the topics as they are now: {ANOTHER_COPY}"
        )))
    }
}

/// The alternative that leaves these tables unchanged.
const ANOTHER_COPY: &str = "`catalog-consumer run --migrate --schema NAME --group NAME`, with a schema and a group of their own (docs/how-to/keep-two-copies.md)";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn source() -> Source {
        Source {
            brokers: "broker:9092".into(),
            prefix: "socrata.".into(),
            cluster: Some("c1".into()),
            topics: BTreeMap::from([("socrata.domains".into(), "t1".into())]),
        }
    }

    fn bound() -> Bound {
        Bound {
            topic_prefix: Some("socrata.".into()),
            cluster_id: Some("c1".into()),
            schema: "catalog".into(),
            topics: vec![("socrata.domains".into(), "t1".into())],
        }
    }

    #[test]
    fn equal_and_unknown_ids_are_accepted() {
        assert!(bound().check(&source()).is_ok());
        assert!(Bound::default().check(&source()).is_ok());
        assert!(bound().check(&Source { cluster: None, topics: BTreeMap::new(), ..source() }).is_ok());
    }

    #[test]
    fn other_sources_are_refused_with_each_alternative() {
        let refused = |source: &Source| bound().check(source).unwrap_err().to_string();
        let prefix = refused(&Source { prefix: "other.".into(), ..source() });
        assert!(
            prefix.contains("\"socrata.\"") && prefix.contains("\"other.\"") && prefix.contains("--schema")
        );
        let cluster = refused(&Source { cluster: Some("c2".into()), ..source() });
        assert!(cluster.contains("c1") && cluster.contains("catalog-consumer move"), "{cluster}");
        let topics = BTreeMap::from([("socrata.domains".into(), "t2".into())]);
        let topic = refused(&Source { topics, ..source() });
        assert!(topic.contains("socrata.domains (its id was t1 and is t2)"), "{topic}");
    }
}
