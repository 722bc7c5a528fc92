//! The command line of `move`.

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::record::RecordType;
use clap::Args;

use crate::config::DatabaseArgs;

/// Where to move the tables.
#[derive(Args, Debug)]
pub struct MoveArgs {
    /// Moves only what comes from this topic, which was deleted and created again
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,

    /// The consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// How many partitions the topic of datasets gets if it does not exist yet, 1 to 1000
    #[arg(long, env = "CATALOG_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub partitions: u16,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// The Kafka cluster to move to.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// What is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything, to another cluster or another prefix.
    Cluster,
    /// What comes from this topic, which was created again.
    Topic(String),
}

impl Scope {
    /// Reads the command line.
    ///
    /// # Errors
    /// [`Stop::Usage`] for a topic that is none of these programs.
    pub(super) fn of(args: &MoveArgs) -> Result<Self, Stop> {
        let Some(given) = &args.topic else { return Ok(Self::Cluster) };
        let topics = args.kafka.topics();
        let mut names = RecordType::ALL.map(|kind| topics.data(kind)).to_vec();
        names.extend([topics.cursors(), topics.verdicts(), topics.dead_letters()]);
        let long = format!("{}{given}", args.kafka.topic_prefix);
        match names.iter().find(|name| *name == given || **name == long) {
            Some(name) => Ok(Self::Topic(name.clone())),
            None => Err(Stop::Usage(format!("--topic is one of {}, not {given:?}", names.join(", ")))),
        }
    }

    /// The only topic that is moved; none if all are.
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
    fn a_topic_is_named_with_its_prefix_or_without() {
        assert_eq!(scope(None).unwrap(), Scope::Cluster);
        for name in ["hosts", "socrata.hosts"] {
            assert_eq!(scope(Some(name)).unwrap(), Scope::Topic("socrata.hosts".into()));
        }
        assert!(matches!(scope(Some("other.hosts")), Err(Stop::Usage(_))));
        let hosts = scope(Some("hosts")).unwrap();
        assert!(hosts.includes("socrata.hosts") && !hosts.includes("socrata.domains"));
    }
}
