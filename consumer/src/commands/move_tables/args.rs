//! The command line of `move`.

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::record::RecordType;
use clap::Args;

use crate::config::DatabaseArgs;

/// The arguments of `move`.
#[derive(Args, Debug)]
pub struct MoveArgs {
    /// Move only the tables of this topic, which was deleted and created again
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,

    /// Name of the consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// Partitions of the datasets topic if it does not exist yet, 1 to 1000
    #[arg(long, env = "CATALOG_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub partitions: u16,

    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The Kafka cluster to move to.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// What is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All topics, to another cluster or another prefix.
    Cluster,
    /// One topic that was deleted and created again.
    Topic(String),
}

impl Scope {
    /// The scope that the command line names.
    ///
    /// # Errors
    /// [`Stop::Usage`] if the topic does not belong to these programs.
    pub(super) fn of(args: &MoveArgs) -> Result<Self, Stop> {
        let Some(given) = &args.topic else { return Ok(Self::Cluster) };
        let topics = args.kafka.topics();
        let mut names = RecordType::ALL.map(|kind| topics.data(kind)).to_vec();
        names.extend([topics.cursors(), topics.verdicts(), topics.dead_letters()]);
        let prefixed = format!("{}{given}", args.kafka.topic_prefix);
        match names.iter().find(|name| *name == given || **name == prefixed) {
            Some(name) => Ok(Self::Topic(name.clone())),
            None => Err(Stop::Usage(format!("--topic is one of {}, not {given:?}", names.join(", ")))),
        }
    }

    /// The topic that is moved; `None` if all topics are.
    pub(super) fn topic(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Topic(name) => Some(name),
        }
    }

    /// Whether a topic is moved.
    pub(super) fn includes(&self, topic: &str) -> bool {
        self.topic().is_none_or(|name| name == topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(topic: Option<&str>) -> Result<Scope, Stop> {
        Scope::of(&MoveArgs {
            topic: topic.map(str::to_owned),
            group: String::new(),
            partitions: 1,
            json: false,
            kafka: KafkaArgs { brokers: String::new(), options: Vec::new(), topic_prefix: "socrata.".into() },
            database: DatabaseArgs { database_url: None, schema: String::new() },
        })
    }

    #[test]
    fn a_topic_is_named_with_or_without_its_prefix() {
        assert_eq!(scope(None).unwrap(), Scope::Cluster);
        for name in ["hosts", "socrata.hosts"] {
            assert_eq!(scope(Some(name)).unwrap(), Scope::Topic("socrata.hosts".into()));
        }
        assert!(matches!(scope(Some("other.hosts")), Err(Stop::Usage(_))));
        let hosts = scope(Some("hosts")).unwrap();
        assert!(hosts.includes("socrata.hosts") && !hosts.includes("socrata.domains"));
    }
}
